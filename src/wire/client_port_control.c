/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "virtioforwarder.pb-c.h"
#include "wire/call.h"

typedef Virtioforwarder__PortControlRequest Request;
typedef Virtioforwarder__PortControlRequest__PciAddress PciAddress;
typedef Virtioforwarder__PortControlResponse Response;

/* A request with everything it points to, except the strings of its op. */
struct request_frame {
	Request request;
	PciAddress addresses[BOND_MEMBERS_MAX];
	PciAddress *address_list[BOND_MEMBERS_MAX];
	char *device_list[BOND_MEMBERS_MAX];
};

static bool is_plain_pci(const struct device_id *id)
{
	return id->is_pci && strcmp(id->text, id->name) == 0;
}

/*
 * Plain PCI addresses go into the field that every daemon reads; the extension is for all other
 * devices.
 */
static void fill_device(const struct device_spec *device, struct request_frame *frame)
{
	bool pci = true;

	for (unsigned i = 0; i < device->n_members; i++)
		pci = pci && is_plain_pci(&device->members[i]);
	for (unsigned i = 0; i < device->n_members; i++) {
		const struct device_id *member = &device->members[i];
		PciAddress *address = &frame->addresses[i];

		virtioforwarder__port_control_request__pci_address__init(address);
		address->domain = member->pci.domain;
		address->bus = member->pci.bus;
		address->slot = member->pci.slot;
		address->function = member->pci.function;
		frame->address_list[i] = address;
		frame->device_list[i] = (char *)member->text;
	}
	frame->request.pci_addrs = frame->address_list;
	frame->request.n_pci_addrs = pci ? device->n_members : 0;
	frame->request.device = frame->device_list;
	frame->request.n_device = pci ? 0 : device->n_members;
	if (device_spec_is_bond(device)) {
		frame->request.name = (char *)device->bond_name;
		frame->request.has_mode = device->n_members > 0;
		frame->request.mode = device->bond_mode;
	}
}

static void fill_request(const struct op *op, struct request_frame *frame)
{
	Request *request = &frame->request;

	virtioforwarder__port_control_request__init(request);
	/* The numbers are the same; port_control_codec.c asserts it. */
	request->op = (Virtioforwarder__PortControlRequest__Op)op->kind;
	request->has_conditional = true;
	request->conditional = op->conditional;
	request->has_virtio_id = op->relay_id >= 0;
	request->virtio_id = (uint32_t)op->relay_id;
	fill_device(&op->device, frame);
	if (op->vhost_path[0])
		request->vhost_path = (char *)op->vhost_path;
	if (op->ident[0])
		request->ident = (char *)op->ident;
	request->has_socket_mode = op->socket_mode != SOCKET_MODE_DEFAULT;
	request->socket_mode = op->socket_mode == SOCKET_MODE_CLIENT
	                               ? VIRTIOFORWARDER__PORT_CONTROL_REQUEST__SOCKET_MODE__CLIENT
	                               : VIRTIOFORWARDER__PORT_CONTROL_REQUEST__SOCKET_MODE__SERVER;
}

static void read_response(const Response *response, struct op_result *ret_result)
{
	struct op_result result = {};

	if (response->status != VIRTIOFORWARDER__PORT_CONTROL_RESPONSE__STATUS__OK) {
		result.code = response->has_error_code && response->error_code > 0
		                      ? response->error_code
		                      : EIO;
		snprintf(result.err.text, sizeof(result.err.text), "%s",
			response->error_code_source ? response->error_code_source
						    : strerror(result.code));
	}
	if (response->query_string)
		snprintf(result.query, sizeof(result.query), "%s", response->query_string);
	*ret_result = result;
}

int client_port_control(
	const char *endpoint, const struct op *op, struct op_result *ret_result, struct err *err)
{
	struct request_frame frame;
	ProtobufCMessage *reply;
	int r;

	fill_request(op, &frame);
	r = wire_call(endpoint, CLIENT_TIMEOUT_MS, &frame.request.base,
		&virtioforwarder__port_control_response__descriptor, &reply, err);
	if (r < 0)
		return r;
	read_response((const Response *)reply, ret_result);
	protobuf_c_message_free_unpacked(reply, NULL);
	return 0;
}

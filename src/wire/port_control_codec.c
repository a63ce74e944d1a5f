/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/port_control_codec.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "virtioforwarder.pb-c.h"
#include "wire/nul.h"
#include "wire/port_control_request.h"

typedef Virtioforwarder__PortControlRequest Request;
typedef Virtioforwarder__PortControlRequest__PciAddress PciAddress;
typedef Virtioforwarder__PortControlResponse Response;

#define BOND_PREFIX "net_bonding"
#define BOND_MODE_DEFAULT 1 /* active-backup */
#define BOND_MODE_MAX 6

enum need {
	IGNORED,
	OPTIONAL,
	REQUIRED,
};

/*
 * What each operation uses, in the order of enum op_kind, which is also that of the wire. What it
 * does not use is ignored, since callers fill optional fields from defaults.
 */
static const struct op_shape {
	const char *name;
	enum need relay;
	enum need device;
	enum need vhost_path;
	enum need socket_mode;
	enum need ident;
	bool members_by_name; /* a bond's name suffices */
} shapes[] = {
	[OP_ADD] = {"ADD", REQUIRED, REQUIRED, IGNORED, IGNORED, OPTIONAL, false},
	[OP_REMOVE] = {"REMOVE", REQUIRED, REQUIRED, IGNORED, IGNORED, IGNORED, true},
	[OP_ADD_SOCK] = {"ADD_SOCK", IGNORED, REQUIRED, REQUIRED, OPTIONAL, OPTIONAL, false},
	[OP_REMOVE_SOCK] = {"REMOVE_SOCK", IGNORED, OPTIONAL, OPTIONAL, IGNORED, IGNORED, true},
	[OP_QUERY_PCI] = {"QUERY_PCI", IGNORED, IGNORED, REQUIRED, IGNORED, IGNORED, false},
};

static_assert((int)OP_ADD == (int)VIRTIOFORWARDER__PORT_CONTROL_REQUEST__OP__ADD, "op");
static_assert((int)OP_REMOVE == (int)VIRTIOFORWARDER__PORT_CONTROL_REQUEST__OP__REMOVE, "op");
static_assert((int)OP_ADD_SOCK == (int)VIRTIOFORWARDER__PORT_CONTROL_REQUEST__OP__ADD_SOCK, "op");
static_assert(
	(int)OP_REMOVE_SOCK == (int)VIRTIOFORWARDER__PORT_CONTROL_REQUEST__OP__REMOVE_SOCK, "op");
static_assert((int)OP_QUERY_PCI == (int)VIRTIOFORWARDER__PORT_CONTROL_REQUEST__OP__QUERY_PCI, "op");

static int check_need(
	enum need need, bool given, const char *op, const char *field, struct err *err)
{
	if (need == REQUIRED && !given)
		return err_set(err, EINVAL, "%s needs %s", op, field);
	return 0;
}

/* The text of a field; NULL if it is not used or absent, and an empty one is as good as absent. */
static const char *used_text(enum need need, const char *text)
{
	return need != IGNORED && text && *text ? text : NULL;
}

/* Copies a string that must be non-empty, printable and shorter than `size` to ret_text. */
static int read_text(
	const char *text, const char *field, char *ret_text, size_t size, struct err *err)
{
	if (!*text)
		return err_set(err, EINVAL, "%s is empty", field);
	if (!text_valid(text))
		return err_set(err, EINVAL, "%s holds a control character or is not UTF-8", field);
	if (strlen(text) >= size)
		return err_set(err, ENAMETOOLONG, "%s is longer than %zu bytes", field, size - 1);
	strcpy(ret_text, text);
	return 0;
}

static int read_pci_address(const PciAddress *wire, struct device_id *ret_device, struct err *err)
{
	if (!pci_addr_valid(wire->bus, wire->slot, wire->function))
		return err_set(err, EINVAL,
			"no PCI address: domain 0x%x, bus 0x%x (0-0xff), slot 0x%x (0-0x1f), "
			"function %u (0-7)",
			wire->domain, wire->bus, wire->slot, wire->function);
	device_id_from_pci(&(struct pci_addr){.domain = wire->domain,
				   .bus = (uint8_t)wire->bus,
				   .slot = (uint8_t)wire->slot,
				   .function = (uint8_t)wire->function},
		ret_device);
	return 0;
}

static int read_device_string(const char *text, struct device_id *ret_device, struct err *err)
{
	char checked[DEVICE_TEXT_SIZE];
	int r = read_text(text, "device", checked, sizeof(checked), err);

	return r < 0 ? r : device_id_parse(checked, ret_device, err);
}

static int read_members(const Request *wire, struct device_spec *device, struct err *err)
{
	size_t n = wire->n_pci_addrs + wire->n_device;

	if (wire->n_pci_addrs > 0 && wire->n_device > 0)
		return err_set(err, EINVAL,
			"pci_addrs and device are both given: name all devices in one of them");
	if (n > BOND_MEMBERS_MAX)
		return err_set(err, E2BIG, "%zu devices are given, a bond has at most %d", n,
			BOND_MEMBERS_MAX);

	for (size_t i = 0; i < n; i++) {
		struct device_id *member = &device->members[i];
		int r = wire->n_device ? read_device_string(wire->device[i], member, err)
		                       : read_pci_address(wire->pci_addrs[i], member, err);

		if (r < 0)
			return r;
		for (size_t j = 0; j < i; j++)
			if (device_id_equal(member, &device->members[j]))
				return err_set(
					err, EINVAL, "device %s is given twice", member->text);
	}
	device->n_members = (unsigned)n;
	return 0;
}

static int read_bond_name(const char *name, char ret_name[static DEVICE_NAME_SIZE], struct err *err)
{
	int r = read_text(name, "name", ret_name, DEVICE_NAME_SIZE, err);

	if (r < 0)
		return r;
	if (strncmp(name, BOND_PREFIX, strlen(BOND_PREFIX)) != 0)
		return err_set(err, EINVAL,
			"name '%s': the name of a bond starts with " BOND_PREFIX, name);
	for (const char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_-.", *c))
			return err_set(err, EINVAL,
				"name '%s': the name of a bond holds letters, digits, '_', '-' and "
				"'.' only",
				name);
	return 0;
}

static int read_device(const Request *wire, const struct op_shape *shape,
	struct device_spec *ret_device, struct err *err)
{
	struct device_spec device = {.bond_mode = BOND_MODE_DEFAULT};
	const char *name = used_text(shape->device, wire->name);
	bool given = wire->n_pci_addrs || wire->n_device || name;
	int r;

	if (shape->device == IGNORED)
		return 0;
	r = check_need(shape->device, given, shape->name, "device (pci_addrs or device)", err);
	if (r < 0)
		return r;
	r = read_members(wire, &device, err);
	if (r < 0)
		return r;
	if (name) {
		r = read_bond_name(name, device.bond_name, err);
		if (r < 0)
			return r;
		if (device.n_members == 1)
			return err_set(err, EINVAL,
				"bond %s has one device: give it two to %d, or leave name out",
				device.bond_name, BOND_MEMBERS_MAX);
		if (device.n_members == 0 && !shape->members_by_name)
			return err_set(err, EINVAL, "%s needs the devices of bond %s", shape->name,
				device.bond_name);
	} else if (device.n_members > 1) {
		return err_set(err, EINVAL,
			"%u devices are given and no name: a bond needs one that starts "
			"with " BOND_PREFIX,
			device.n_members);
	}
	if (wire->has_mode && wire->mode > BOND_MODE_MAX)
		return err_set(
			err, EINVAL, "bond mode %u is out of 0-%d", wire->mode, BOND_MODE_MAX);
	if (wire->has_mode && name)
		device.bond_mode = wire->mode;
	*ret_device = device;
	return 0;
}

static int read_relay_id(
	const Request *wire, const struct op_shape *shape, int *ret_relay_id, struct err *err)
{
	int r = check_need(shape->relay, wire->has_virtio_id, shape->name, "virtio_id", err);

	if (r < 0)
		return r;
	if (wire->has_virtio_id && wire->virtio_id >= RELAYS_MAX)
		return err_set(err, EINVAL, "virtio_id %u is out of 0-%d", wire->virtio_id,
			RELAYS_MAX - 1);
	*ret_relay_id = wire->has_virtio_id && shape->relay != IGNORED ? (int)wire->virtio_id : -1;
	return 0;
}

static int read_vhost_path(const Request *wire, const struct op_shape *shape,
	char ret_path[static SOCKET_PATH_SIZE], struct err *err)
{
	const char *path = used_text(shape->vhost_path, wire->vhost_path);
	int r = check_need(shape->vhost_path, path, shape->name, "vhost_path", err);

	if (r < 0 || !path)
		return r;
	r = read_text(path, "vhost_path", ret_path, SOCKET_PATH_SIZE, err);
	if (r < 0)
		return r;
	if (path[0] != '/')
		return err_set(err, EINVAL, "vhost_path '%s' is not absolute", path);
	return 0;
}

static int read_socket_mode(const Request *wire, const struct op_shape *shape,
	enum socket_mode *ret_mode, struct err *err)
{
	if (shape->socket_mode == IGNORED || !wire->has_socket_mode)
		return 0;
	switch (wire->socket_mode) {
	case VIRTIOFORWARDER__PORT_CONTROL_REQUEST__SOCKET_MODE__SERVER:
		*ret_mode = SOCKET_MODE_SERVER;
		return 0;
	case VIRTIOFORWARDER__PORT_CONTROL_REQUEST__SOCKET_MODE__CLIENT:
		*ret_mode = SOCKET_MODE_CLIENT;
		return 0;
	default:
		return err_set(err, EINVAL, "socket_mode %d is unknown: 0 is server, 1 is client",
			(int)wire->socket_mode);
	}
}

static int read_ident(const Request *wire, const struct op_shape *shape,
	char ret_ident[static IDENT_SIZE], struct err *err)
{
	const char *ident = used_text(shape->ident, wire->ident);

	return ident ? read_text(ident, "ident", ret_ident, IDENT_SIZE, err) : 0;
}

int port_control_request_read(const Request *wire, struct op *ret_op, struct err *err)
{
	struct op op = {.conditional = wire->conditional};
	const struct op_shape *shape;
	int r;

	/* protobuf-c accepts numbers that the enum does not have. */
	if (wire->op < 0 || (size_t)wire->op >= ARRAY_SIZE(shapes))
		return err_set(err, EINVAL, "operation %d is unknown", (int)wire->op);
	op.kind = (enum op_kind)wire->op;
	shape = &shapes[op.kind];

	if ((r = read_relay_id(wire, shape, &op.relay_id, err)) < 0 ||
		(r = read_device(wire, shape, &op.device, err)) < 0 ||
		(r = read_vhost_path(wire, shape, op.vhost_path, err)) < 0 ||
		(r = read_socket_mode(wire, shape, &op.socket_mode, err)) < 0 ||
		(r = read_ident(wire, shape, op.ident, err)) < 0)
		return r;
	if (op.kind == OP_REMOVE_SOCK && !op.vhost_path[0] && op.device.n_members == 0 &&
		!device_spec_is_bond(&op.device))
		return err_set(err, EINVAL, "%s needs vhost_path or a device", shape->name);
	*ret_op = op;
	return 0;
}

int port_control_request_decode(const void *data, size_t length, struct op *ret_op, struct err *err)
{
	static const unsigned string_fields[] = {5, 7, 100, 102};
	Request *wire;
	int r;

	wire = virtioforwarder__port_control_request__unpack(NULL, length, data);
	if (!wire)
		return err_set(err, EBADMSG,
			"the request is no PortControlRequest, or one without a required field");
	if (wire_has_nul(data, length, string_fields, ARRAY_SIZE(string_fields)))
		r = err_set(err, EINVAL, "a string of the request holds a NUL character");
	else
		r = port_control_request_read(wire, ret_op, err);
	virtioforwarder__port_control_request__free_unpacked(wire, NULL);
	return r;
}

static bool is_plain_pci(const struct device_id *id)
{
	return id->is_pci && strcmp(id->text, id->name) == 0;
}

/*
 * Plain PCI addresses go into the field that every daemon reads; the extension is for all other
 * devices.
 */
static void fill_device(const struct device_spec *device, struct port_control_frame *frame)
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

void port_control_request_fill(const struct op *op, struct port_control_frame *frame)
{
	Request *request = &frame->request;

	virtioforwarder__port_control_request__init(request);
	/* The numbers are the same, as asserted above. */
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

int port_control_response_encode(const struct op_result *result, struct wire_message *ret_message)
{
	Response response = VIRTIOFORWARDER__PORT_CONTROL_RESPONSE__INIT;
	char reason[ERR_TEXT_SIZE], query[DEVICE_TEXT_SIZE];

	if (result->code == 0) {
		response.status = VIRTIOFORWARDER__PORT_CONTROL_RESPONSE__STATUS__OK;
	} else {
		response.status = VIRTIOFORWARDER__PORT_CONTROL_RESPONSE__STATUS__ERROR;
		response.has_error_code = true;
		response.error_code = result->code;
		text_copy(reason, sizeof(reason), result->err.text);
		response.error_code_source = reason;
	}
	if (result->query[0]) {
		text_copy(query, sizeof(query), result->query);
		response.query_string = query;
	}
	return wire_message_pack(&response.base, ret_message);
}

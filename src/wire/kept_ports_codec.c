/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/kept_ports_codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/port_control_request.h"

typedef Virtioforwarder__KeptPorts List;
typedef Virtioforwarder__KeptPorts__Port Port;

/* A port with everything that it points to, except the strings of its op. */
struct port_frame {
	Port port;
	struct port_control_frame add;
};

static void fill_port(const struct op *op, struct port_frame *frame)
{
	virtioforwarder__kept_ports__port__init(&frame->port);
	port_control_request_fill(op, &frame->add);
	frame->port.add = &frame->add.request;
	if (!device_spec_is_bond(&op->device))
		return;
	frame->port.has_bond_mac = true;
	frame->port.bond_mac.data = (uint8_t *)op->device.bond_mac;
	frame->port.bond_mac.len = sizeof(op->device.bond_mac);
}

int kept_ports_encode(const struct op *ops, unsigned n, struct wire_message *ret_message)
{
	_cleanup_free_ struct port_frame *frames = calloc(RELAYS_MAX, sizeof(*frames));
	List list = VIRTIOFORWARDER__KEPT_PORTS__INIT;
	Port *ports[RELAYS_MAX];

	if (frames == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		fill_port(&ops[i], &frames[i]);
		ports[i] = &frames[i].port;
	}
	list.port = ports;
	list.n_port = n;
	list.count = n;
	return wire_message_pack(&list.base, ret_message);
}

static int read_port(const Port *wire, struct op *ret_op, struct err *err)
{
	struct op op;

	int r = port_control_request_read(wire->add, &op, err);
	if (r < 0)
		return r;
	if (op.kind != OP_ADD && op.kind != OP_ADD_SOCK)
		return err_set(err, EINVAL, "operation %d adds nothing", (int)op.kind);
	if (!wire->add->has_virtio_id || wire->add->virtio_id >= RELAYS_MAX)
		return err_set(err, EINVAL, "a port has no relay of 0-%d", RELAYS_MAX - 1);
	op.relay_id = (int)wire->add->virtio_id;
	if (wire->has_bond_mac && device_spec_is_bond(&op.device)) {
		if (wire->bond_mac.len != sizeof(op.device.bond_mac))
			return err_set(err, EINVAL, "the MAC of bond %s is %zu bytes long",
				op.device.bond_name, wire->bond_mac.len);
		memcpy(op.device.bond_mac, wire->bond_mac.data, sizeof(op.device.bond_mac));
	}
	*ret_op = op;
	return 0;
}

static int read_list(const List *wire, struct op ret_ops[static RELAYS_MAX],
	unsigned *ret_n_refused, struct err *err)
{
	unsigned n = 0;

	if (wire->n_port != wire->count || wire->n_port > RELAYS_MAX)
		return err_set(err, EBADMSG, "it has %zu ports, not the %u that it says",
			wire->n_port, wire->count);
	for (size_t i = 0; i < wire->n_port; i++)
		if (read_port(wire->port[i], &ret_ops[n], err) == 0)
			n++;
	*ret_n_refused = (unsigned)wire->n_port - n;
	return (int)n;
}

int kept_ports_decode(const void *data, size_t length, struct op ret_ops[static RELAYS_MAX],
	unsigned *ret_n_refused, struct err *err)
{
	List *wire = virtioforwarder__kept_ports__unpack(NULL, length, data);

	if (wire == NULL)
		return err_set(err, EBADMSG, "it is no list of ports, or not all of one");
	int r = read_list(wire, ret_ops, ret_n_refused, err);
	virtioforwarder__kept_ports__free_unpacked(wire, NULL);
	return r;
}

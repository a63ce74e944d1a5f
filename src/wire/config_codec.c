/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/config_codec.h"

#include <errno.h>

#include "virtioforwarder.pb-c.h"

typedef Virtioforwarder__ConfigRequest Request;
typedef Virtioforwarder__ConfigResponse Response;
typedef Virtioforwarder__ConfigResponse__RelayCPU RelayCPU;

int config_request_decode(const void *data, size_t length)
{
	Request *wire = virtioforwarder__config_request__unpack(NULL, length, data);

	if (!wire)
		return -EBADR;
	virtioforwarder__config_request__free_unpacked(wire, NULL);
	return 0;
}

int config_response_encode(const struct config_info *info, struct wire_message *ret_message)
{
	Response response = VIRTIOFORWARDER__CONFIG_RESPONSE__INIT;
	RelayCPU cpus[RELAYS_MAX];
	RelayCPU *cpu_list[RELAYS_MAX];

	response.status = VIRTIOFORWARDER__CONFIG_RESPONSE__STATUS__OK;
	response.daemon_version = (char *)info->daemon_version;
	response.dpdk_version = (char *)info->dpdk_version;
	response.features = (char **)info->features;
	while (info->features && info->features[response.n_features])
		response.n_features++;

	response.relay_cpu_map = cpu_list;
	for (unsigned i = 0; i < MIN(info->n_pins, RELAYS_MAX); i++) {
		virtioforwarder__config_response__relay_cpu__init(&cpus[i]);
		cpus[i].relay_number = (int32_t)info->pins[i].relay_id;
		cpus[i].vf2virtio_cpu = (int32_t)info->pins[i].vf_to_vm_cpu;
		cpus[i].virtio2vf_cpu = (int32_t)info->pins[i].vm_to_vf_cpu;
		cpu_list[response.n_relay_cpu_map++] = &cpus[i];
	}
	return wire_message_pack(&response.base, ret_message);
}

int config_error_encode(struct wire_message *ret_message)
{
	Response response = VIRTIOFORWARDER__CONFIG_RESPONSE__INIT;

	response.status = VIRTIOFORWARDER__CONFIG_RESPONSE__STATUS__EBADR;
	return wire_message_pack(&response.base, ret_message);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lives of a frontend before its judge. A message is its request (a byte), flags (a byte, 0 for the
 * usual ones), number of descriptors and which (a byte each), length of the payload (a byte) and
 * the payload. After each message the state must be one that the packet path can cope with.
 */
#include "guest_fds.h"
#include "soundness.h"

static void say(struct gate_rules *rules, struct input *input)
{
	const int *have = guest_fds();
	int fds[MEMORY_REGIONS_MAX];
	struct vhost_user_message message = {.header.request = input_byte(input)};
	uint8_t flags = input_byte(input);
	unsigned n_fds = input_byte(input) % (MEMORY_REGIONS_MAX + 1);
	struct gate_rules before;
	struct err err = {""};

	for (unsigned i = 0; i < n_fds; i++)
		fds[i] = have[input_byte(input) % GUEST_FDS];
	message.header.flags = flags ? flags : VHOST_USER_VERSION;
	size_t bytes = input_byte(input);
	bytes += bytes == 255 ? input_byte(input) : 0;
	message.header.payload_bytes = bytes;
	/* The reader of messages does not read a payload that is too long. */
	if (bytes > sizeof(message.payload))
		return;
	input_bytes(input, &message.payload, bytes);

	memcpy(&before, rules, sizeof(before));
	int r = gate_rules_check(rules, &message, fds, n_fds, &err);
	require((r < 0) == (err.text[0] != '\0'));
	require_sound(rules);
	if (r < 0) /* its connection ends, but here it goes on from a state that must be sound too
	            */
		memcpy(rules, &before, sizeof(before));
	gate_rules_check_answer(&message, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct gate_rules rules = {0};

	while (input.left > 0)
		say(&rules, &input);
	return 0;
}

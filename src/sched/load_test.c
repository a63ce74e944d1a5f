/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/load.h"

static void the_published_weights(void **state)
{
	assert_float_equal(load_from_rates(VM_TO_VF, 1e6, 0), 0.082, 1e-9);
	assert_float_equal(load_from_rates(VM_TO_VF, 0, 1e6), 9.3e-5, 1e-9);
	assert_float_equal(load_from_rates(VF_TO_VM, 1e6, 0), 0.0795, 1e-9);
	assert_float_equal(load_from_rates(VF_TO_VM, 2e6, 3e6), 0.159 + 24.6e-5, 1e-9);
}

static void the_first_sample_is_taken_as_it_is(void **state)
{
	struct load_estimate estimate = {};

	load_estimate_add(&estimate, 0.7);
	assert_true(estimate.known);
	assert_float_equal(estimate.mean, 0.7, 1e-9);
}

static void a_step_is_believed_at_once(void **state)
{
	struct load_estimate estimate = {};

	for (unsigned i = 0; i < 50; i++)
		load_estimate_add(&estimate, i % 2 ? 0.21 : 0.19);
	load_estimate_add(&estimate, 0.8);
	assert_float_equal(estimate.mean, 0.8, 1e-9);
}

static void noise_is_averaged(void **state)
{
	struct load_estimate estimate = {};
	const double noise[] = {0.46, 0.53, 0.49, 0.55, 0.44, 0.51, 0.52, 0.5};

	for (unsigned i = 0; i < 100; i++) {
		load_estimate_add(&estimate, noise[i % 8]);
		if (i >= 16)
			assert_float_equal(estimate.mean, 0.5, 0.02);
	}
}

static void jumping_to_and_fro_is_averaged(void **state)
{
	struct load_estimate estimate = {};

	for (unsigned i = 0; i < 100; i++) {
		load_estimate_add(&estimate, i % 2 ? 0.9 : 0.1);
		if (i >= 16)
			assert_float_equal(estimate.mean, 0.5, 0.15);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_weights),
		cmocka_unit_test(the_first_sample_is_taken_as_it_is),
		cmocka_unit_test(a_step_is_believed_at_once),
		cmocka_unit_test(noise_is_averaged),
		cmocka_unit_test(jumping_to_and_fro_is_averaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

# SPDX-License-Identifier: BSD-3-Clause
"""The parts of the catalogue, by what they abuse."""

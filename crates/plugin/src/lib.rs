//! Isotherm as hosts load it: exports what CLAP and VST3 hosts look for, and nothing else.

use isotherm::plugin::Isotherm;

/// Aborts when the audio thread allocates or frees. Only in development bundles.
#[cfg(debug_assertions)]
#[global_allocator]
static ALLOCATOR: nice_assert_no_alloc::AllocDisabler = nice_assert_no_alloc::AllocDisabler;

nice_plug::nice_export_clap!(Isotherm);
nice_plug::nice_export_vst3!(Isotherm);

//! The library that hosts load: it exports the entries of CLAP and VST3, and nothing else.

use isotherm::plugin::Isotherm;

/// Allocator of development bundles, which aborts when the audio thread allocates or frees.
#[cfg(debug_assertions)]
#[global_allocator]
static ALLOCATOR: nice_assert_no_alloc::AllocDisabler = nice_assert_no_alloc::AllocDisabler;

nice_plug::nice_export_clap!(Isotherm);
nice_plug::nice_export_vst3!(Isotherm);

//! The plug-in for CLAP and VST3 hosts, made with the framework nice-plug: it gives hosts the parameters of an instance and runs
//! their sound through it.

mod editor;
mod geometry;
#[cfg(test)]
mod listen_tests;
mod params;
#[cfg(test)]
mod twin_tests;
mod window;

use std::sync::Arc;

use arrayvec::ArrayVec;
use nice_plug::prelude::*;

use crate::algorithm::REGISTRY;
use crate::dsp::{MAX_CHANNELS, ProcessSpec};
use crate::instance::parameters::{BLIND, BYPASS, LISTEN, RECORD, SLOT_NAMES, STANDBY, algorithm_parameter, effect_parameter};
use crate::instance::{Instance, InstanceProcessor};
use params::HostParameters;

/// The plug-in: one instance, and its parameters as the host sees them.
pub struct Isotherm {
    /// Dropped with the plug-in, which ends its threads even if the host keeps the parameters alive.
    instance: Instance,
    parameters: Arc<HostParameters>,
    processor: InstanceProcessor,
    /// The latency in frames that the host knows or was asked to read.
    reported_latency: usize,
}

impl Default for Isotherm {
    fn default() -> Self {
        let (instance, processor) = Instance::with_takes();
        #[cfg(test)]
        twin_tests::LAST_INSTANCE.set(Arc::downgrade(instance.shared()));
        Self { parameters: Arc::new(HostParameters::new(&instance)), instance, processor, reported_latency: 0 }
    }
}

/// A layout with as many output channels as input channels.
const fn layout(channels: u32) -> AudioIOLayout {
    AudioIOLayout {
        main_input_channels: NonZeroU32::new(channels),
        main_output_channels: NonZeroU32::new(channels),
        ..AudioIOLayout::const_default()
    }
}

impl Plugin for Isotherm {
    const NAME: &'static str = "Isotherm";
    const VENDOR: &'static str = "Isotherm";
    const URL: &'static str = "";
    const EMAIL: &'static str = "";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const AUDIO_IO_LAYOUTS: &'static [AudioIOLayout] = &[layout(2), layout(1), layout(4), layout(8), layout(16), layout(32)];
    const SAMPLE_ACCURATE_AUTOMATION: bool = true;

    type Editor = window::PluginEditor;
    type SysExMessage = ();
    type BackgroundTask = ();

    fn params(&self) -> Arc<dyn Params> {
        self.parameters.clone()
    }

    fn editor(&mut self, _: AsyncExecutor<Self>) -> Option<Self::Editor> {
        Some(window::PluginEditor::new(self.parameters.clone()))
    }

    fn filter_state(state: &mut PluginState) {
        params::add_missing_parameters(state);
    }

    fn activate(&mut self, layout: &AudioIOLayout, config: &BufferConfig, context: &mut impl ActivateContext<Self>) -> bool {
        let channels = layout.main_output_channels.map_or(0, |n| n.get() as usize);
        let max_frames = (config.max_buffer_size as usize).max(1);
        let offline = config.process_mode == ProcessMode::Offline;
        let spec = ProcessSpec { offline, ..ProcessSpec::new(config.sample_rate, channels, max_frames) };
        let Some(latency) = self.processor.prepare(spec) else { return false };
        self.reported_latency = latency;
        context.set_latency_samples(latency as u32);
        true
    }

    fn reset(&mut self) {
        self.processor.reset();
    }

    fn process(
        &mut self,
        buffer: &mut Buffer,
        _: &mut AuxiliaryBuffers,
        context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        let mut block: ArrayVec<&mut [f32], MAX_CHANNELS> = buffer.as_slice().iter_mut().map(|c| &mut **c).collect();
        let latency = self.processor.process(&mut block, context.transport().playing);
        // CLAP lets the latency change only while the plug-in is inactive: the host is asked to restart, and `activate` tells
        // the new latency. In VST3 the host is told at once, and may read it at any time.
        if let Some(latency) = latency.filter(|latency| *latency != self.reported_latency) {
            match context.plugin_api() {
                PluginApi::Clap => context.request_restart(),
                _ => context.set_latency_samples(latency as u32),
            }
            self.reported_latency = latency;
        }
        // A host that lets a plug-in sleep in silence would let a listening test fall silent, too: all tests begin in silence.
        if self.instance.listening_tests().link().is_open() { ProcessStatus::KeepAlive } else { ProcessStatus::Normal }
    }
}

impl ClapPlugin for Isotherm {
    const CLAP_ID: &'static str = "audio.isotherm.isotherm";
    const CLAP_DESCRIPTION: Option<&'static str> =
        Some("A tube saturator, a bitcrusher, a clipper and neural models in two comparable slots");
    const CLAP_MANUAL_URL: Option<&'static str> = None;
    const CLAP_SUPPORT_URL: Option<&'static str> = None;
    const CLAP_FEATURES: &'static [ClapFeature] = &[
        ClapFeature::AudioEffect,
        ClapFeature::Distortion,
        ClapFeature::Stereo,
        ClapFeature::Mono,
        ClapFeature::Surround,
        ClapFeature::Analyzer,
    ];

    fn remote_controls(&self, context: &mut impl RemoteControlsContext) {
        let parameters = &self.parameters;
        context.add_section("Isotherm", |section| {
            section.add_page("Compare", |page| {
                for at in [LISTEN, BYPASS, BLIND, algorithm_parameter(0), algorithm_parameter(1)] {
                    parameters.add_to(page, at);
                }
            });
            section.add_page("Takes", |page| {
                parameters.add_to(page, STANDBY);
                parameters.add_to(page, RECORD);
            });
        });
        for (slot, name) in SLOT_NAMES.into_iter().enumerate() {
            context.add_section(format!("Slot {name}"), |section| {
                for (row, algorithm) in REGISTRY.iter().enumerate() {
                    section.add_page(format!("{name} {}", algorithm.name), |page| {
                        (0..algorithm.parameters.len())
                            .filter_map(|index| effect_parameter(slot, row, index))
                            .for_each(|at| parameters.add_to(page, at));
                    });
                }
            });
        }
    }
}

impl Vst3Plugin for Isotherm {
    const VST3_CLASS_ID: [u8; 16] = *b"IsothermEffectA1";
    const VST3_SUBCATEGORIES: &'static [Vst3SubCategory] = &[Vst3SubCategory::Fx, Vst3SubCategory::Distortion];
}

// The CLAP entry by which the plug-in's own tests, a host in this process, load it.
#[cfg(test)]
nice_export_clap!(Isotherm);

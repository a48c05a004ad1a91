"""A function for each measure: `esr(a, b)`, `lufs(audio)`, `thd(effect)`."""

# Made by python/stubs.py from the core's registries. Do not edit.

from collections.abc import Callable
from typing import Any, Protocol

from ._arrays import Sound
from ._effect import Effect
from ._measure import Alignment as Alignment
from ._measure import align as align
from ._measure import characteristics as characteristics

def esr(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Error to signal, a number; less is better. Energy of the difference divided by the energy of the reference, all channels together: sum (y - z)^2 / sum y^2 (Wright et al., DAFx-19), without pre-emphasis.

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). An array needs no rate here. NaN if there is no figure.
    """

def null_db(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Null, in dB; less is better. Energy that is left when one sound is subtracted from the other, in dB of the reference's energy: 10 log10 of the error to signal; -300 if nothing is left.

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). An array needs no rate here. NaN if there is no figure.
    """

def null(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Null, in dB; less is better. Energy that is left when one sound is subtracted from the other, in dB of the reference's energy: 10 log10 of the error to signal; -300 if nothing is left.

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). An array needs no rate here. NaN if there is no figure.
    """

def mr_stft(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Multi-resolution STFT distance, a number; less is better. Spectral convergence plus the mean difference of the magnitudes' natural logarithms, the mean of transforms of 512, 1024 and 2048 frames (Yamamoto et al., ICASSP 2020, for 24 kHz), the mean of the channels. Transforms that are longer than the sound do not count; there is no figure if none fits.

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). An array needs no rate here. NaN if there is no figure.
    """

def mrstft(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Multi-resolution STFT distance, a number; less is better. Spectral convergence plus the mean difference of the magnitudes' natural logarithms, the mean of transforms of 512, 1024 and 2048 frames (Yamamoto et al., ICASSP 2020, for 24 kHz), the mean of the channels. Transforms that are longer than the sound do not count; there is no figure if none fits.

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). An array needs no rate here. NaN if there is no figure.
    """

def esr_pre_emphasis(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Error to signal with pre-emphasis, a number; less is better. Energy of the difference divided by the energy of the reference, both through the filter 1 - 0.85 z^-1, all channels together.

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). An array needs no rate here. NaN if there is no figure.
    """

def esr_pre_emphasis_db(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Error to signal with pre-emphasis, in dB, in dB; less is better. 10 log10 of the error to signal with pre-emphasis 1 - 0.85 z^-1; -300 if nothing is left.

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). An array needs no rate here. NaN if there is no figure.
    """

def esr_a_weighted(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Error to signal, A-weighted, a number; less is better. Energy of the difference divided by the energy of the reference, both with A-weighting (the curve of IEC 61672-1, exact at any sample rate), all channels together.

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). NaN if there is no figure.
    """

def esr_a_weighted_db(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Error to signal, A-weighted, in dB, in dB; less is better. 10 log10 of the A-weighted error to signal; -300 if nothing is left.

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). NaN if there is no figure.
    """

def mr_stft_48k(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Multi-resolution STFT distance, sizes for 48 kHz, a number; less is better. The multi-resolution STFT distance with transforms, steps and windows that are twice as long (1024, 2048 and 4096 frames), which at 48 kHz have the durations that the original ones have at 24 kHz.

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). An array needs no rate here. NaN if there is no figure.
    """

def log_spectral_distance_db(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Log-spectral distance, in dB; less is better. Root mean square over 20 Hz to 20 kHz of the difference of the spectra in dB, the mean of transforms of nearly 43 ms (2048 frames at 44.1 and 48 kHz, a power of two at any rate; Hann windows, a quarter apart) and channels; what is below -100 dB of a full-scale sine counts as that (Gray and Markel, IEEE Trans. ASSP 1976).

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). NaN if there is no figure.
    """

def log_spectral_distance(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Log-spectral distance, in dB; less is better. Root mean square over 20 Hz to 20 kHz of the difference of the spectra in dB, the mean of transforms of nearly 43 ms (2048 frames at 44.1 and 48 kHz, a power of two at any rate; Hann windows, a quarter apart) and channels; what is below -100 dB of a full-scale sine counts as that (Gray and Markel, IEEE Trans. ASSP 1976).

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). NaN if there is no figure.
    """

def third_octave_error_db(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Error of the worst third octave, in dB; less is better. Energy of the difference in dB of the reference's energy in the same third octave (IEC 61260-1, 20 Hz to 20 kHz), in the worst of those that are, A-weighted, at most 70 dB below the loudest.

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). NaN if there is no figure.
    """

def third_octave_error(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Error of the worst third octave, in dB; less is better. Energy of the difference in dB of the reference's energy in the same third octave (IEC 61260-1, 20 Hz to 20 kHz), in the worst of those that are, A-weighted, at most 70 dB below the loudest.

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). NaN if there is no figure.
    """

def nmr_db(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Noise-to-mask ratio, in dB; less is better. Energy of the difference of the magnitude spectra, divided by the masking threshold of the reference, the mean of bands of a quarter of a Bark, of time and of channels, in dB (Total NMR of the basic version of ITU-R BS.1387-1; 0 dBFS is 92 dB SPL).

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). NaN if there is no figure.
    """

def nmr(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Noise-to-mask ratio, in dB; less is better. Energy of the difference of the magnitude spectra, divided by the masking threshold of the reference, the mean of bands of a quarter of a Bark, of time and of channels, in dB (Total NMR of the basic version of ITU-R BS.1387-1; 0 dBFS is 92 dB SPL).

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). NaN if there is no figure.
    """

def nmr_worst_band_db(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Noise-to-mask ratio, worst band, in dB; less is better. The noise-to-mask ratio of the worst of the bands of a quarter of a Bark, the mean of time and of channels, in dB (the ratios whose mean is the noise-to-mask ratio).

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). NaN if there is no figure.
    """

def nmr_worst_band(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Noise-to-mask ratio, worst band, in dB; less is better. The noise-to-mask ratio of the worst of the bands of a quarter of a Bark, the mean of time and of channels, in dB (the ratios whose mean is the noise-to-mask ratio).

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). NaN if there is no figure.
    """

def disturbed_frames(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Disturbed frames, in %; less is better. Share of the transforms of 43 ms in which the noise is more than 1.5 dB above the masking threshold in at least one band and channel (Relative Disturbed Frames of ITU-R BS.1387-1).

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). NaN if there is no figure.
    """

def disturbed(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Disturbed frames, in %; less is better. Share of the transforms of 43 ms in which the noise is more than 1.5 dB above the masking threshold in at least one band and channel (Relative Disturbed Frames of ITU-R BS.1387-1).

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). NaN if there is no figure.
    """

def worst_window_db(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Error of the worst window, in dB; less is better. Energy of the difference in dB of the reference's energy in the same window of 400 ms, or of 40 dB below the reference's mean if that is more, in the worst window; -300 if nothing is left.

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). NaN if there is no figure.
    """

def worst_window(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Error of the worst window, in dB; less is better. Energy of the difference in dB of the reference's energy in the same window of 400 ms, or of 40 dB below the reference's mean if that is more, in the worst window; -300 if nothing is left.

    `a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step). NaN if there is no figure.
    """

def peak_dbfs(audio: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Sample peak, in dBFS. The largest magnitude of all samples of all channels, in dB of full scale.

    `audio` is AudioSamples, or an array (frames,) or (channels, frames) with `sample_rate` in Hz. An array needs no rate here. NaN if there is no figure.
    """

def peak(audio: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Sample peak, in dBFS. The largest magnitude of all samples of all channels, in dB of full scale.

    `audio` is AudioSamples, or an array (frames,) or (channels, frames) with `sample_rate` in Hz. An array needs no rate here. NaN if there is no figure.
    """

def rms_dbfs(audio: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """RMS level, in dBFS. Root of the mean square of all samples of all channels, in dB of a full-scale square wave.

    `audio` is AudioSamples, or an array (frames,) or (channels, frames) with `sample_rate` in Hz. An array needs no rate here. NaN if there is no figure.
    """

def rms(audio: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """RMS level, in dBFS. Root of the mean square of all samples of all channels, in dB of a full-scale square wave.

    `audio` is AudioSamples, or an array (frames,) or (channels, frames) with `sample_rate` in Hz. An array needs no rate here. NaN if there is no figure.
    """

def dc(audio: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """DC offset, a number. Mean of all samples of all channels, where 1 is full scale.

    `audio` is AudioSamples, or an array (frames,) or (channels, frames) with `sample_rate` in Hz. An array needs no rate here. NaN if there is no figure.
    """

def lufs(audio: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """Integrated loudness, in LUFS. Loudness of the whole sound with its pauses left out (ITU-R BS.1770-4, EBU R 128): a sine of 997 Hz in one channel at full scale is -3.01.

    `audio` is AudioSamples, or an array (frames,) or (channels, frames) with `sample_rate` in Hz. NaN if there is no figure.
    """

def true_peak_dbtp(audio: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """True peak, in dBTP. The largest magnitude of all channels, also between the samples (ITU-R BS.1770-4, annex 2), in dB of full scale.

    `audio` is AudioSamples, or an array (frames,) or (channels, frames) with `sample_rate` in Hz. NaN if there is no figure.
    """

def true_peak(audio: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
    """True peak, in dBTP. The largest magnitude of all channels, also between the samples (ITU-R BS.1770-4, annex 2), in dB of full scale.

    `audio` is AudioSamples, or an array (frames,) or (channels, frames) with `sample_rate` in Hz. NaN if there is no figure.
    """

def thd(effect: Effect, sample_rate: float = 48000, *, hz: float = ..., amplitude: float = ...) -> float:
    """Total harmonic distortion, in %. Root of the energy of the harmonics from the second up to 20 kHz, divided by the fundamental (IEC 60268-3).

    `effect` is measured with a sine near `hz` of this `amplitude` (1 is full scale) at `sample_rate` in Hz. NaN if there is no figure.
    """

def thd_noise(effect: Effect, sample_rate: float = 48000, *, hz: float = ..., amplitude: float = ...) -> float:
    """Total harmonic distortion and noise, in %. Root of the energy of all but the fundamental, divided by that of all, 20 Hz to 20 kHz (AES17).

    `effect` is measured with a sine near `hz` of this `amplitude` (1 is full scale) at `sample_rate` in Hz. NaN if there is no figure.
    """

def aliasing_db(effect: Effect, sample_rate: float = 48000, *, hz: float = ..., amplitude: float = ...) -> float:
    """Aliasing, in dB; less is better. Energy of all components that are no harmonics of a sine, divided by the energy of its harmonics, from 20 Hz to 20 kHz, in dB; at a length that is prime, so that no alias falls on a harmonic.

    `effect` is measured with a sine near `hz` of this `amplitude` (1 is full scale) at `sample_rate` in Hz. NaN if there is no figure.
    """

def aliasing(effect: Effect, sample_rate: float = 48000, *, hz: float = ..., amplitude: float = ...) -> float:
    """Aliasing, in dB; less is better. Energy of all components that are no harmonics of a sine, divided by the energy of its harmonics, from 20 Hz to 20 kHz, in dB; at a length that is prime, so that no alias falls on a harmonic.

    `effect` is measured with a sine near `hz` of this `amplitude` (1 is full scale) at `sample_rate` in Hz. NaN if there is no figure.
    """

def impulse_frames(effect: Effect, sample_rate: float = 48000) -> float:
    """Impulse peak beyond the reported latency, in frames; less is better. Frames from an impulse to the largest magnitude of the response, after the latency that the effect reports has been taken away.

    `effect` is measured with an impulse of full scale at `sample_rate` in Hz. NaN if there is no figure.
    """

def impulse(effect: Effect, sample_rate: float = 48000) -> float:
    """Impulse peak beyond the reported latency, in frames; less is better. Frames from an impulse to the largest magnitude of the response, after the latency that the effect reports has been taken away.

    `effect` is measured with an impulse of full scale at `sample_rate` in Hz. NaN if there is no figure.
    """

def imd_smpte(effect: Effect, sample_rate: float = 48000) -> float:
    """Intermodulation, SMPTE, in %. 60 Hz and 7 kHz with amplitudes 4 to 1 and a peak of -12 dBFS: the sum of the amplitudes at 7 kHz +- 60 Hz and that at 7 kHz +- 120 Hz, the root of both squares, divided by the amplitude at 7 kHz (IEC 60268-3).

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def imd_ccif(effect: Effect, sample_rate: float = 48000) -> float:
    """Intermodulation, CCIF, in %. 19 and 20 kHz with equal amplitudes and a peak of -12 dBFS: the amplitude at 1 kHz and the sum of those at 18 and 21 kHz, the root of both squares, divided by the sum of the amplitudes at 19 and 20 kHz (IEC 60268-3).

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def hysteresis(effect: Effect, sample_rate: float = 48000) -> float:
    """Hysteresis, in %. A sine of 100 Hz at full scale: the largest distance of the outputs at one input while it rises and while it falls, in percent of the output's range.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def aliasing_worst_db(effect: Effect, sample_rate: float = 48000) -> float:
    """Largest aliasing, in dB; less is better. The largest aliasing to signal of sines at 0 dBFS from 125 Hz to 16 kHz, three an octave. One that lies within 3 % of a third or a quarter of the sample rate, where aliases meet harmonics, is a sixteenth lower: 15 kHz at 48 kHz.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def aliasing_worst(effect: Effect, sample_rate: float = 48000) -> float:
    """Largest aliasing, in dB; less is better. The largest aliasing to signal of sines at 0 dBFS from 125 Hz to 16 kHz, three an octave. One that lies within 3 % of a third or a quarter of the sample rate, where aliases meet harmonics, is a sixteenth lower: 15 kHz at 48 kHz.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def model_aliasing_1245hz_1x_db(effect: Effect, sample_rate: float = 48000) -> float:
    """Aliasing of the model at 1245 Hz, 1x, in dB; less is better. Aliasing to signal of the model that an effect plays, without oversampling, for a sine near 1245 Hz at -0.92 dBFS (amplitude 0.9); blank without a model.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def model_aliasing_1245hz_1x(effect: Effect, sample_rate: float = 48000) -> float:
    """Aliasing of the model at 1245 Hz, 1x, in dB; less is better. Aliasing to signal of the model that an effect plays, without oversampling, for a sine near 1245 Hz at -0.92 dBFS (amplitude 0.9); blank without a model.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def model_aliasing_1245hz_2x_db(effect: Effect, sample_rate: float = 48000) -> float:
    """Aliasing of the model at 1245 Hz, 2x, in dB; less is better. Aliasing to signal of the model that an effect plays, oversampled twice whatever the effect says, for a sine near 1245 Hz at -0.92 dBFS (amplitude 0.9); blank without a model, and for one that is linear or cannot be oversampled.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def model_aliasing_1245hz_2x(effect: Effect, sample_rate: float = 48000) -> float:
    """Aliasing of the model at 1245 Hz, 2x, in dB; less is better. Aliasing to signal of the model that an effect plays, oversampled twice whatever the effect says, for a sine near 1245 Hz at -0.92 dBFS (amplitude 0.9); blank without a model, and for one that is linear or cannot be oversampled.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def model_aliasing_1245hz_4x_db(effect: Effect, sample_rate: float = 48000) -> float:
    """Aliasing of the model at 1245 Hz, 4x, in dB; less is better. Aliasing to signal of the model that an effect plays, oversampled four times whatever the effect says, for a sine near 1245 Hz at -0.92 dBFS (amplitude 0.9); blank without a model, and for one that is linear or cannot be oversampled.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def model_aliasing_1245hz_4x(effect: Effect, sample_rate: float = 48000) -> float:
    """Aliasing of the model at 1245 Hz, 4x, in dB; less is better. Aliasing to signal of the model that an effect plays, oversampled four times whatever the effect says, for a sine near 1245 Hz at -0.92 dBFS (amplitude 0.9); blank without a model, and for one that is linear or cannot be oversampled.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def model_aliasing_5khz_1x_db(effect: Effect, sample_rate: float = 48000) -> float:
    """Aliasing of the model at 5 kHz, 1x, in dB; less is better. Aliasing to signal of the model that an effect plays, without oversampling, for a sine near 5 kHz at -0.92 dBFS (amplitude 0.9); blank without a model.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def model_aliasing_5khz_1x(effect: Effect, sample_rate: float = 48000) -> float:
    """Aliasing of the model at 5 kHz, 1x, in dB; less is better. Aliasing to signal of the model that an effect plays, without oversampling, for a sine near 5 kHz at -0.92 dBFS (amplitude 0.9); blank without a model.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def model_aliasing_5khz_2x_db(effect: Effect, sample_rate: float = 48000) -> float:
    """Aliasing of the model at 5 kHz, 2x, in dB; less is better. Aliasing to signal of the model that an effect plays, oversampled twice whatever the effect says, for a sine near 5 kHz at -0.92 dBFS (amplitude 0.9); blank without a model, and for one that is linear or cannot be oversampled.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def model_aliasing_5khz_2x(effect: Effect, sample_rate: float = 48000) -> float:
    """Aliasing of the model at 5 kHz, 2x, in dB; less is better. Aliasing to signal of the model that an effect plays, oversampled twice whatever the effect says, for a sine near 5 kHz at -0.92 dBFS (amplitude 0.9); blank without a model, and for one that is linear or cannot be oversampled.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def model_aliasing_5khz_4x_db(effect: Effect, sample_rate: float = 48000) -> float:
    """Aliasing of the model at 5 kHz, 4x, in dB; less is better. Aliasing to signal of the model that an effect plays, oversampled four times whatever the effect says, for a sine near 5 kHz at -0.92 dBFS (amplitude 0.9); blank without a model, and for one that is linear or cannot be oversampled.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def model_aliasing_5khz_4x(effect: Effect, sample_rate: float = 48000) -> float:
    """Aliasing of the model at 5 kHz, 4x, in dB; less is better. Aliasing to signal of the model that an effect plays, oversampled four times whatever the effect says, for a sine near 5 kHz at -0.92 dBFS (amplitude 0.9); blank without a model, and for one that is linear or cannot be oversampled.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def idle_noise_dbfs(effect: Effect, sample_rate: float = 48000) -> float:
    """Noise for silence, in dBFS; less is better. RMS of what an effect gives for silence, without its mean, in dB of a full-scale square wave; blank if it is constant.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def idle_noise(effect: Effect, sample_rate: float = 48000) -> float:
    """Noise for silence, in dBFS; less is better. RMS of what an effect gives for silence, without its mean, in dB of a full-scale square wave; blank if it is constant.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def idle_dc(effect: Effect, sample_rate: float = 48000) -> float:
    """DC for silence, a number. Mean of what an effect gives for silence, where 1 is full scale.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def latency_error_frames(effect: Effect, sample_rate: float = 48000) -> float:
    """Latency beyond the reported one, a number. Frames from the reported latency to the largest magnitude of the band-limited impulse response for small signals; blank without a response.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def latency_error(effect: Effect, sample_rate: float = 48000) -> float:
    """Latency beyond the reported one, a number. Frames from the reported latency to the largest magnitude of the band-limited impulse response for small signals; blank without a response.

    `effect` is measured at `sample_rate` in Hz, 8000 to 768000. NaN if there is no figure.
    """

def ns_per_sample(effect: Effect, sample_rate: float = 48000, *, channels: int = 1, block: int = 64, seconds: float = 1.0) -> float:
    """Time for a sample, in ns/sample; less is better. The median of the blocks' times, divided by the block's frames and by its channels; of blocks of random sizes, the time of all blocks divided by the samples of all channels.

    `effect` is timed here and now for at most `seconds`, with blocks of `block` frames of noise. NaN if there is no figure.
    """

def rtf(effect: Effect, sample_rate: float = 48000, *, channels: int = 1, block: int = 64, seconds: float = 1.0) -> float:
    """Real-time factor, a number; less is better. Time for all blocks, divided by the duration of their sound: below 1 the processor keeps up.

    `effect` is timed here and now for at most `seconds`, with blocks of `block` frames of noise. NaN if there is no figure.
    """

def samples_per_second(effect: Effect, sample_rate: float = 48000, *, channels: int = 1, block: int = 64, seconds: float = 1.0) -> float:
    """Throughput, in samples/s; more is better. Samples of all channels together, divided by the time for all blocks.

    `effect` is timed here and now for at most `seconds`, with blocks of `block` frames of noise. NaN if there is no figure.
    """

def first_us(effect: Effect, sample_rate: float = 48000, *, channels: int = 1, block: int = 64, seconds: float = 1.0) -> float:
    """First block, in us; less is better. Time of the first block after the processor is made, which counts in no other figure.

    `effect` is timed here and now for at most `seconds`, with blocks of `block` frames of noise. NaN if there is no figure.
    """

def mean_us(effect: Effect, sample_rate: float = 48000, *, channels: int = 1, block: int = 64, seconds: float = 1.0) -> float:
    """Mean block, in us; less is better. Mean of the blocks' times, after the first 200 blocks or the first 0.1 s.

    `effect` is timed here and now for at most `seconds`, with blocks of `block` frames of noise. NaN if there is no figure.
    """

def deviation_us(effect: Effect, sample_rate: float = 48000, *, channels: int = 1, block: int = 64, seconds: float = 1.0) -> float:
    """Deviation of the blocks, in us; less is better. Standard deviation of the blocks' times.

    `effect` is timed here and now for at most `seconds`, with blocks of `block` frames of noise. NaN if there is no figure.
    """

def p50_us(effect: Effect, sample_rate: float = 48000, *, channels: int = 1, block: int = 64, seconds: float = 1.0) -> float:
    """Median block, in us; less is better. Time that half of the blocks stay within (nearest rank).

    `effect` is timed here and now for at most `seconds`, with blocks of `block` frames of noise. NaN if there is no figure.
    """

def p95_us(effect: Effect, sample_rate: float = 48000, *, channels: int = 1, block: int = 64, seconds: float = 1.0) -> float:
    """95th percentile of the blocks, in us; less is better. Time that 95 % of the blocks stay within (nearest rank); blank for fewer than 2000 blocks.

    `effect` is timed here and now for at most `seconds`, with blocks of `block` frames of noise. NaN if there is no figure.
    """

def p99_us(effect: Effect, sample_rate: float = 48000, *, channels: int = 1, block: int = 64, seconds: float = 1.0) -> float:
    """99th percentile of the blocks, in us; less is better. Time that 99 % of the blocks stay within (nearest rank); blank for fewer than 10 000 blocks.

    `effect` is timed here and now for at most `seconds`, with blocks of `block` frames of noise. NaN if there is no figure.
    """

def p99_9_us(effect: Effect, sample_rate: float = 48000, *, channels: int = 1, block: int = 64, seconds: float = 1.0) -> float:
    """99.9th percentile of the blocks, in us; less is better. Time that 99.9 % of the blocks stay within (nearest rank); blank for fewer than 100 000 blocks.

    `effect` is timed here and now for at most `seconds`, with blocks of `block` frames of noise. NaN if there is no figure.
    """

def max_us(effect: Effect, sample_rate: float = 48000, *, channels: int = 1, block: int = 64, seconds: float = 1.0) -> float:
    """Slowest block, in us; less is better. Time of the slowest block after the first 200 blocks or the first 0.1 s.

    `effect` is timed here and now for at most `seconds`, with blocks of `block` frames of noise. NaN if there is no figure.
    """

def jitter_us(effect: Effect, sample_rate: float = 48000, *, channels: int = 1, block: int = 64, seconds: float = 1.0) -> float:
    """Jitter of the blocks, in us; less is better. The 99th percentile of the blocks' times less their median; blank for fewer than 10 000 blocks.

    `effect` is timed here and now for at most `seconds`, with blocks of `block` frames of noise. NaN if there is no figure.
    """

def misses(effect: Effect, sample_rate: float = 48000, *, channels: int = 1, block: int = 64, seconds: float = 1.0) -> float:
    """Deadline misses, a number; less is better. Number of blocks whose time was longer than their sound.

    `effect` is timed here and now for at most `seconds`, with blocks of `block` frames of noise. NaN if there is no figure.
    """

def max_load(effect: Effect, sample_rate: float = 48000, *, channels: int = 1, block: int = 64, seconds: float = 1.0) -> float:
    """Largest load of a block, a number; less is better. The largest of all blocks' times divided by the duration of their sound: above 1 the block was late.

    `effect` is timed here and now for at most `seconds`, with blocks of `block` frames of noise. NaN if there is no figure.
    """

def buffer_bytes(effect: Effect, sample_rate: float = 48000, *, channels: int = 1, block: int = 64, seconds: float = 1.0) -> float:
    """Memory, in bytes; less is better. Memory that a processor holds on the heap, without a model's weights.

    `effect` is timed here and now for at most `seconds`, with blocks of `block` frames of noise. NaN if there is no figure.
    """

class _Measures(Protocol):
    def __call__(self) -> list[dict[str, Any]]: ...
    esr: Callable[..., float]
    null_db: Callable[..., float]
    null: Callable[..., float]
    mr_stft: Callable[..., float]
    mrstft: Callable[..., float]
    esr_pre_emphasis: Callable[..., float]
    esr_pre_emphasis_db: Callable[..., float]
    esr_a_weighted: Callable[..., float]
    esr_a_weighted_db: Callable[..., float]
    mr_stft_48k: Callable[..., float]
    log_spectral_distance_db: Callable[..., float]
    log_spectral_distance: Callable[..., float]
    third_octave_error_db: Callable[..., float]
    third_octave_error: Callable[..., float]
    nmr_db: Callable[..., float]
    nmr: Callable[..., float]
    nmr_worst_band_db: Callable[..., float]
    nmr_worst_band: Callable[..., float]
    disturbed_frames: Callable[..., float]
    disturbed: Callable[..., float]
    worst_window_db: Callable[..., float]
    worst_window: Callable[..., float]
    peak_dbfs: Callable[..., float]
    peak: Callable[..., float]
    rms_dbfs: Callable[..., float]
    rms: Callable[..., float]
    dc: Callable[..., float]
    lufs: Callable[..., float]
    true_peak_dbtp: Callable[..., float]
    true_peak: Callable[..., float]
    thd: Callable[..., float]
    thd_noise: Callable[..., float]
    aliasing_db: Callable[..., float]
    aliasing: Callable[..., float]
    impulse_frames: Callable[..., float]
    impulse: Callable[..., float]
    imd_smpte: Callable[..., float]
    imd_ccif: Callable[..., float]
    hysteresis: Callable[..., float]
    aliasing_worst_db: Callable[..., float]
    aliasing_worst: Callable[..., float]
    model_aliasing_1245hz_1x_db: Callable[..., float]
    model_aliasing_1245hz_1x: Callable[..., float]
    model_aliasing_1245hz_2x_db: Callable[..., float]
    model_aliasing_1245hz_2x: Callable[..., float]
    model_aliasing_1245hz_4x_db: Callable[..., float]
    model_aliasing_1245hz_4x: Callable[..., float]
    model_aliasing_5khz_1x_db: Callable[..., float]
    model_aliasing_5khz_1x: Callable[..., float]
    model_aliasing_5khz_2x_db: Callable[..., float]
    model_aliasing_5khz_2x: Callable[..., float]
    model_aliasing_5khz_4x_db: Callable[..., float]
    model_aliasing_5khz_4x: Callable[..., float]
    idle_noise_dbfs: Callable[..., float]
    idle_noise: Callable[..., float]
    idle_dc: Callable[..., float]
    latency_error_frames: Callable[..., float]
    latency_error: Callable[..., float]
    ns_per_sample: Callable[..., float]
    rtf: Callable[..., float]
    samples_per_second: Callable[..., float]
    first_us: Callable[..., float]
    mean_us: Callable[..., float]
    deviation_us: Callable[..., float]
    p50_us: Callable[..., float]
    p95_us: Callable[..., float]
    p99_us: Callable[..., float]
    p99_9_us: Callable[..., float]
    max_us: Callable[..., float]
    jitter_us: Callable[..., float]
    misses: Callable[..., float]
    max_load: Callable[..., float]
    buffer_bytes: Callable[..., float]

# The table of all measures: a function that has this module's other names, too, because it has the module's name.
measures: _Measures

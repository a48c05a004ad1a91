//! Tests of audio buffers: construction, conversion, arithmetic, edits, levels and the text of every error.

use isotherm::audio::{Audio, AudioError, Fade, I24, Operand, Sample, Window, db_to_gain, gain_to_db};
use ndarray::{Array1, Array2, array};
use proptest::prelude::*;

const RATE: u32 = 48_000;

fn assert_close(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance, "{a} and {b} differ by more than {tolerance}");
}

fn stereo() -> Audio<f64> {
    Audio::from_channels(RATE, &[&[0.5, -0.25, 0.125, 1.0], &[0.1, 0.2, 0.3, -0.4]]).unwrap()
}

/// The message of an error.
fn message<T: std::fmt::Debug>(result: Result<T, AudioError>) -> String {
    result.unwrap_err().to_string()
}

// ---- construction

#[test]
fn every_constructor_gives_the_same_buffer() {
    let planar = Audio::<i16>::from_channels(RATE, &[&[1, 2, 3], &[4, 5, 6]]).unwrap();
    let frames_by_channels = array![[1, 4], [2, 5], [3, 6]];
    let channels_by_frames = array![[1, 2, 3], [4, 5, 6]];
    let fortran = Array2::from_shape_vec(ndarray::ShapeBuilder::f((2, 3)), vec![1, 4, 2, 5, 3, 6]).unwrap();
    for other in [
        Audio::from_interleaved(RATE, 2, &[1, 4, 2, 5, 3, 6]).unwrap(),
        Audio::from_frames_by_channels(RATE, frames_by_channels.view()).unwrap(),
        Audio::from_channels_by_frames(RATE, channels_by_frames.view()).unwrap(),
        Audio::from_channels_by_frames(RATE, fortran.view()).unwrap(),
    ] {
        assert_eq!(other, planar);
    }
    assert_eq!(planar.to_array(), channels_by_frames);
    assert_eq!(planar.view().t(), frames_by_channels);
    assert_eq!(planar.to_interleaved(), [1, 4, 2, 5, 3, 6]);
    assert_eq!(planar.as_planar(), [1, 2, 3, 4, 5, 6]);
    assert_eq!((planar.sample_rate(), planar.channels(), planar.frames()), (RATE, 2, 3));
    assert_eq!(planar.seconds(), 3.0 / 48_000.0);
    assert_eq!(planar.channel(1), [4, 5, 6]);
    assert_eq!(planar.slices(), [&[1, 2, 3], &[4, 5, 6]]);
    assert_eq!(format!("{planar:?}"), "Audio<16-bit integer>(48000 Hz, 2 x 3)");
    assert_eq!(Audio::from_mono(RATE, &[1_i32, 2]).unwrap().channel(0), [1, 2]);
}

#[test]
fn channels_are_iterated_in_order_even_without_frames() {
    let mut audio = stereo();
    audio.iter_mut().enumerate().for_each(|(index, channel)| channel.fill(index as f64));
    assert_eq!(audio.iter().map(|c| c[0]).collect::<Vec<_>>(), [0.0, 1.0]);
    audio.channel_mut(0)[3] = 9.0;
    assert_eq!(audio.as_planar(), [0.0, 0.0, 0.0, 9.0, 1.0, 1.0, 1.0, 1.0]);
    let mut empty = Audio::<f32>::silence(RATE, 3, 0);
    assert_eq!(empty.iter().len(), 3);
    assert_eq!(empty.iter_mut().len(), 3);
    assert!(empty.iter_mut().all(|channel| channel.is_empty()));
    assert_eq!((empty.peak(), empty.rms(), empty.dc(), empty.crest()), (0.0, 0.0, 0.0, None));
    assert_eq!(empty.to_array().dim(), (3, 0));
    assert_eq!(empty.add(&empty).unwrap(), empty);
    assert_eq!(empty.mix_down().channels(), 1);
}

#[test]
fn invalid_constructor_arguments_have_their_own_messages() {
    assert_eq!(
        message(Audio::<f32>::from_channels(RATE, &[&[0.0; 480], &[0.0; 479]])),
        "expected 2 x 480 (channels x frames), found 2 x 479 in channel 1"
    );
    assert_eq!(message(Audio::<f32>::from_channels(RATE, &[])), "expected 1 channel or more, found 0");
    assert_eq!(
        message(Audio::from_interleaved(RATE, 2, &[0_i16; 479])),
        "expected whole frames of 2 channels, found 479 samples"
    );
    assert_eq!(message(Audio::from_interleaved(RATE, 0, &[0_i16; 4])), "expected 1 channel or more, found 0");
    assert_eq!(message(Audio::from_mono(0, &[0_i16; 4])), "expected a sample rate of 1 Hz or more, found 0 Hz");
    let no_channels = Array2::<f32>::zeros((0, 4));
    assert_eq!(message(Audio::from_channels_by_frames(RATE, no_channels.view())), "expected 1 channel or more, found 0");
}

#[test]
#[should_panic(expected = "expected a channel below 2, found channel 2")]
fn a_missing_channel_panics_with_its_number() {
    let _ = stereo().channel(2);
}

// ---- conversion

#[test]
fn every_24_bit_code_survives_f32_f64_and_i32() {
    let codes: Vec<I24> = (-(1 << 23)..1 << 23).map(|code| I24::new(code).unwrap()).collect();
    let all = Audio::from_mono(RATE, &codes).unwrap();
    assert_eq!(all.convert::<f32>().convert::<I24>(), all);
    assert_eq!(all.convert::<f64>().convert::<I24>(), all);
    let wide = all.convert::<i32>();
    assert!(wide.channel(0).iter().zip(&codes).all(|(wide, code)| *wide == code.inner() << 8));
    assert_eq!(wide.convert::<I24>(), all);
    let floats = all.convert::<f32>();
    assert!(floats.channel(0).iter().zip(&codes).all(|(f, code)| *f == code.inner() as f32 / 8_388_608.0));
}

#[test]
fn every_16_bit_code_survives_every_type() {
    let codes: Vec<i16> = (i16::MIN..=i16::MAX).collect();
    let all = Audio::from_mono(RATE, &codes).unwrap();
    assert_eq!(all.convert::<f32>().convert::<i16>(), all);
    assert_eq!(all.convert::<f64>().convert::<i16>(), all);
    assert_eq!(all.convert::<I24>().convert::<i16>(), all);
    assert_eq!(all.convert::<i32>().convert::<i16>(), all);
    assert!(all.convert::<i32>().channel(0).iter().zip(&codes).all(|(wide, c)| *wide == i32::from(*c) << 16));
}

#[test]
fn integers_round_to_nearest_even_and_stop_at_full_scale() {
    let step = |bits: i32| (1.0 - f64::from(bits)).exp2();
    for (steps, code) in [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (0.75, 1), (-0.75, -1)] {
        assert_eq!(i16::from_f64(steps * step(16)), code as i16);
        assert_eq!(I24::from_f64(steps * step(24)).inner(), code);
        assert_eq!(i32::from_f64(steps * step(32)), code);
    }
    for (value, low, high) in [(1.0, i32::MAX, 8_388_607), (-1.0, i32::MIN, -8_388_608), (1e30, i32::MAX, 8_388_607)] {
        assert_eq!((i32::from_f64(value), I24::from_f64(value).inner()), (low, high));
    }
    assert_eq!(i32::from_f64(f64::INFINITY), i32::MAX);
    assert_eq!(I24::from_f64(f64::NEG_INFINITY).inner(), -8_388_608);
    assert_eq!((i16::from_f64(f64::NAN), I24::from_f64(f64::NAN).inner(), i32::from_f64(f64::NAN)), (0, 0, 0));
    // From 32 to 24 bits: shifted, rounded and limited.
    let narrow = |code: i32| I24::from_f64(code.to_f64()).inner();
    assert_eq!([0x180, 0x80, 0x81, -0x80, i32::MAX, i32::MIN].map(narrow), [2, 0, 1, 0, 8_388_607, -8_388_608]);
}

proptest! {
    #[test]
    fn every_32_bit_code_survives_f64(code: i32) {
        prop_assert_eq!(i32::from_f64(code.to_f64()), code);
    }

    #[test]
    fn a_float_goes_to_the_nearest_code(value in -1.2_f64..1.2) {
        for (found, scale) in [
            (f64::from(i16::from_f64(value)), 32_768.0),
            (f64::from(I24::from_f64(value).inner()), 8_388_608.0),
            (f64::from(i32::from_f64(value)), 2_147_483_648.0),
        ] {
            let expected = (value * scale).clamp(-scale, scale - 1.0);
            prop_assert!((found - expected).abs() <= 0.5);
        }
    }
}

// ---- arithmetic

/// Two arrays of the same shape, channels x frames, and a row of as many frames.
fn arrays<T: std::fmt::Debug + Clone>(
    value: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = (Array2<T>, Array2<T>, Array1<T>)> {
    (1_usize..5, 0_usize..40).prop_flat_map(move |(channels, frames)| {
        let array = prop::collection::vec(value.clone(), channels * frames)
            .prop_map(move |v| Array2::from_shape_vec((channels, frames), v).unwrap());
        let row = prop::collection::vec(value.clone(), frames).prop_map(Array1::from);
        (array.clone(), array, row)
    })
}

/// Checks an operation as a method, in place and as an operator against the same operation of `ndarray`, and that the one in
/// place keeps the memory.
macro_rules! agrees_with_ndarray {
    ($type:ty, $a:ident, $b:ident, $scalar:ident, $row:ident, $method:ident, $in_place:ident, $op:tt) => {
        let audio = Audio::<$type>::from_channels_by_frames(RATE, $a.view()).unwrap();
        let other = Audio::<$type>::from_channels_by_frames(RATE, $b.view()).unwrap();
        let operands: [(Operand<'_, $type>, Array2<$type>); 5] = [
            ($scalar.into(), &$a $op $scalar),
            ((&$row).into(), &$a $op &$row),
            ($row.as_slice().unwrap().into(), &$a $op &$row),
            ((&$b).into(), &$a $op &$b),
            ((&other).into(), &$a $op &$b),
        ];
        for (operand, expected) in operands {
            prop_assert_eq!(audio.$method(operand.clone()).unwrap().to_array(), expected.clone());
            let mut changed = audio.clone();
            let address = changed.as_planar().as_ptr();
            changed.$in_place(operand).unwrap();
            prop_assert_eq!(changed.to_array(), expected);
            prop_assert_eq!(changed.as_planar().as_ptr(), address);
        }
        prop_assert_eq!((&audio $op f64::from($scalar)).to_array(), &$a $op $scalar);
        prop_assert_eq!((audio.clone() $op &other).to_array(), &$a $op &$b);
        // A transposed array has another memory layout but the same values.
        let transposed = $b.t().to_owned();
        prop_assert_eq!(audio.$method(transposed.t()).unwrap().to_array(), &$a $op &$b);
    };
}

proptest! {
    #[test]
    fn arithmetic_of_f32_is_that_of_ndarray((a, b, row) in arrays(-100.0_f32..100.0), scalar in -100.0_f32..100.0) {
        agrees_with_ndarray!(f32, a, b, scalar, row, add, add_in_place, +);
        agrees_with_ndarray!(f32, a, b, scalar, row, subtract, subtract_in_place, -);
        agrees_with_ndarray!(f32, a, b, scalar, row, multiply, multiply_in_place, *);
    }

    #[test]
    fn arithmetic_of_f64_is_that_of_ndarray((a, b, row) in arrays(-100.0_f64..100.0), scalar in -100.0_f64..100.0) {
        agrees_with_ndarray!(f64, a, b, scalar, row, add, add_in_place, +);
        agrees_with_ndarray!(f64, a, b, scalar, row, subtract, subtract_in_place, -);
        agrees_with_ndarray!(f64, a, b, scalar, row, multiply, multiply_in_place, *);
    }

    #[test]
    fn division_is_that_of_ndarray(
        (a, b, row) in arrays(0.001_f32..100.0), scalar in -100.0_f32..-0.001,
        (c, d, other_row) in arrays(0.001_f64..100.0), other_scalar in 0.001_f64..100.0,
    ) {
        agrees_with_ndarray!(f32, a, b, scalar, row, divide, divide_in_place, /);
        agrees_with_ndarray!(f64, c, d, other_scalar, other_row, divide, divide_in_place, /);
    }

    #[test]
    fn integers_add_and_subtract_with_saturation((a, b, row) in arrays(any::<i32>())) {
        let audio = Audio::<i32>::from_channels_by_frames(RATE, a.view()).unwrap();
        let zipped = |f: fn(i32, i32) -> i32| ndarray::Zip::from(&a).and(&b).map_collect(|&x, &y| f(x, y));
        prop_assert_eq!(audio.add(&b).unwrap().to_array(), zipped(i32::saturating_add));
        prop_assert_eq!(audio.subtract(&b).unwrap().to_array(), zipped(i32::saturating_sub));
        let rows = ndarray::Zip::from(&a).and_broadcast(&row).map_collect(|&x, &y| x.saturating_add(y));
        prop_assert_eq!(audio.add(&row).unwrap().to_array(), rows);
    }

    #[test]
    fn integers_multiply_and_divide_as_fractions_of_full_scale(a: i16, b: i16, gain in -4.0_f64..4.0) {
        let audio = Audio::from_mono(RATE, &[a]).unwrap();
        let limited = |value: f64| value.round_ties_even().clamp(-32_768.0, 32_767.0) as i16;
        let value = f64::from(a);
        prop_assert_eq!(audio.multiply(gain).unwrap().to_interleaved(), [limited(value * gain)]);
        prop_assert_eq!(audio.multiply(&[b]).unwrap().to_interleaved(), [limited(value * f64::from(b) / 32_768.0)]);
        if b != 0 {
            prop_assert_eq!(audio.divide(&[b]).unwrap().to_interleaved(), [limited(value / f64::from(b) * 32_768.0)]);
        }
    }
}

#[test]
fn operators_take_scalars_and_buffers() {
    let a = stereo();
    let mut b = (&a * 0.5 + 1.0) / &(&a + 4.0) - 0.25;
    b += &a;
    b -= 0.5;
    b *= 2.0;
    b /= 4.0;
    for (x, y) in a.as_planar().iter().zip(b.as_planar()) {
        assert_eq!(*y, (((x * 0.5 + 1.0) / (x + 4.0) - 0.25) + x - 0.5) * 2.0 / 4.0);
    }
}

#[test]
#[should_panic(expected = "other rate: 48000 Hz and 44100 Hz")]
fn an_operator_panics_with_the_text_of_the_error() {
    let _ = Audio::<f32>::silence(48_000, 1, 4) + &Audio::silence(44_100, 1, 4);
}

#[test]
fn an_operand_of_another_shape_or_rate_is_an_error_and_changes_nothing() {
    let mut audio = Audio::<f32>::silence(RATE, 2, 480);
    audio.channel_mut(1)[7] = 0.5;
    let before = audio.clone();
    assert_eq!(message(audio.add(&[1.0; 479])), "expected 2 x 480 (channels x frames), found 1 x 479");
    let frames_by_channels = Array2::<f32>::ones((480, 2));
    assert_eq!(message(audio.multiply_in_place(&frames_by_channels)), "expected 2 x 480 (channels x frames), found 480 x 2");
    assert_eq!(
        message(audio.subtract_in_place(&Audio::silence(RATE, 1, 480))),
        "expected 2 x 480 (channels x frames), found 1 x 480"
    );
    let other = Audio::silence(44_100, 2, 480);
    assert_eq!(message(audio.add_in_place(&other)), "other rate: 48000 Hz and 44100 Hz");
    assert_eq!(audio.add(&other).unwrap_err(), AudioError::OtherRate { left: 48_000, right: 44_100 });
    assert_eq!(audio, before);
}

#[test]
fn division_by_zero_names_the_position_and_changes_nothing() {
    let mut audio = Audio::<f32>::from_mono(RATE, &[1.0; 40]).unwrap().repeat_channels(2).unwrap();
    let before = audio.clone();
    let mut divisor = Array2::<f32>::ones((2, 40));
    divisor[(1, 17)] = -0.0;
    assert_eq!(message(audio.divide_in_place(&divisor)), "division by zero at channel 1, frame 17");
    let other = Audio::from_channels_by_frames(RATE, divisor.view()).unwrap();
    assert_eq!(message(audio.divide(&other)), "division by zero at channel 1, frame 17");
    let mut row = vec![2.0; 40];
    row[39] = 0.0;
    assert_eq!(message(audio.divide_in_place(&row)), "division by zero at every channel, frame 39");
    assert_eq!(message(audio.divide_in_place(0.0)), "division by zero at the scalar");
    assert_eq!(audio, before);
    let whole = Audio::from_mono(RATE, &[1_i16, 2]).unwrap();
    assert_eq!(message(whole.divide(&[1_i16, 0])), "division by zero at every channel, frame 1");
}

// ---- levels

#[test]
fn levels_match_their_definitions() {
    let audio = stereo();
    let levels = audio.channel_levels();
    assert_eq!((levels[0].peak, levels[1].peak, audio.peak()), (1.0, 0.4, 1.0));
    assert_close(levels[0].rms, ((0.25 + 0.0625 + 0.015_625 + 1.0) / 4.0_f64).sqrt(), 1e-15);
    assert_close(levels[1].dc, 0.05, 1e-15);
    assert_close(audio.rms(), ((levels[0].rms.powi(2) + levels[1].rms.powi(2)) / 2.0).sqrt(), 1e-15);
    assert_close(audio.dc(), (levels[0].dc + levels[1].dc) / 2.0, 1e-15);
    assert_close(audio.crest().unwrap(), 1.0 / audio.rms(), 1e-15);
    assert_close(audio.levels().rms_db(), 20.0 * audio.rms().log10(), 1e-12);
    assert_close(audio.levels().crest_db().unwrap(), -audio.levels().rms_db(), 1e-12);
    assert_eq!(Audio::<i16>::from_mono(RATE, &[i16::MIN, 0]).unwrap().peak(), 1.0);
    assert_eq!(Audio::<f32>::silence(RATE, 1, 8).crest(), None);
    assert_eq!(Audio::<f32>::silence(RATE, 1, 8).levels().peak_db(), f64::NEG_INFINITY);
    assert!(Audio::from_mono(RATE, &[0.5_f32, f32::NAN, 0.7]).unwrap().peak().is_nan());
}

#[test]
fn decibels_and_gains_are_inverse() {
    assert_close(gain_to_db(2.0), 6.020_599_913_279_624, 1e-12);
    assert_eq!((db_to_gain(0.0), db_to_gain(-20.0), db_to_gain(f64::NEG_INFINITY)), (1.0, 0.1, 0.0));
    assert_eq!(gain_to_db(0.0), f64::NEG_INFINITY);
}

// ---- edits

#[test]
fn normalising_reaches_the_level_with_one_gain_for_all_channels() {
    let mut audio = stereo();
    assert_close(audio.normalise_peak(-6.0).unwrap(), -6.0, 1e-12);
    assert_close(audio.levels().peak_db(), -6.0, 1e-12);
    assert_close(audio.channel(1)[3] / audio.channel(0)[3], -0.4, 1e-12);
    audio.normalise_rms(-20.0).unwrap();
    assert_close(audio.levels().rms_db(), -20.0, 1e-12);
    let mut codes = Audio::<I24>::from_mono(RATE, &[I24::new(1_000).unwrap(), I24::new(-500).unwrap()]).unwrap();
    codes.normalise_peak(0.0).unwrap();
    assert_eq!(codes.channel(0)[0].inner(), 8_388_607);
}

#[test]
fn normalising_silence_or_samples_that_are_not_finite_is_an_error() {
    let mut silent = Audio::<f32>::silence(RATE, 2, 8);
    assert_eq!(message(silent.normalise_peak(-1.0)), "expected a level above zero to normalise to -1 dB, found silence");
    assert_eq!(message(silent.normalise_rms(-1.0)), "expected a level above zero to normalise to -1 dB, found silence");
    silent.channel_mut(1)[5] = f32::NAN;
    assert_eq!(message(silent.normalise_peak(-1.0)), "expected finite samples, found NaN at channel 1, frame 5");
    silent.channel_mut(0)[2] = f32::INFINITY;
    assert_eq!(message(silent.normalise_rms(-1.0)), "expected finite samples, found inf at channel 0, frame 2");
    assert!(stereo().normalise_peak(f64::NAN).is_err());
}

#[test]
fn gain_is_in_decibels_and_integers_are_limited() {
    let mut audio = stereo();
    audio.gain_db(20.0 * 2.0_f64.log10());
    assert_close(audio.channel(0)[1], -0.5, 1e-15);
    let mut codes = Audio::<i16>::from_mono(RATE, &[20_000, -20_000, 3]).unwrap();
    codes.gain_db(6.020_6);
    assert_eq!(codes.channel(0), [32_767, -32_768, 6]);
    codes.gain_db(f64::NEG_INFINITY);
    assert_eq!(codes.channel(0), [0, 0, 0]);
}

#[test]
fn fades_begin_and_end_in_silence_and_mirror_each_other() {
    let ones = Audio::<f64>::from_mono(RATE, &[1.0; 20]).unwrap();
    for fade in [Fade::Linear, Fade::RaisedCosine, Fade::EqualPower] {
        let (mut fade_in, mut fade_out) = (ones.clone(), ones.clone());
        fade_in.fade_in(10, fade).unwrap();
        fade_out.fade_out(10, fade).unwrap();
        assert_eq!((fade_in.channel(0)[0], fade_in.channel(0)[10], fade_out.channel(0)[9]), (0.0, 1.0, 1.0));
        assert!(fade_in.channel(0).windows(2).all(|w| w[0] <= w[1]), "{fade:?} rises");
        let mirrored: Vec<f64> = fade_out.channel(0).iter().rev().copied().collect();
        assert_eq!(fade_in.channel(0), mirrored);
        assert_close(fade.gain(0.0), 0.0, 1e-15);
        assert_close(fade.gain(1.0), 1.0, 1e-15);
        // The gains of a fade-in and of a fade-out at the same time.
        let (rising, falling) = (fade.gain(0.3), fade.gain(0.7));
        let sum = if fade == Fade::EqualPower { rising * rising + falling * falling } else { rising + falling };
        assert_close(sum, 1.0, 1e-15);
    }
    assert_eq!(message(ones.clone().fade_in(21, Fade::Linear)), "expected frames within 0..20, found 0..21");
    assert_eq!(message(ones.clone().fade_out(21, Fade::Linear)), "expected frames within 0..20, found 0..21");
    ones.clone().fade_out(0, Fade::Linear).unwrap();
}

#[test]
fn windows_have_the_mean_of_their_definition() {
    for (window, mean, lowest) in [
        (Window::Rectangle, 1.0, 1.0),
        (Window::Hann, 0.5, 0.0),
        (Window::Hamming, 0.54, 0.08),
        (Window::Blackman, 0.42, 0.0),
        (Window::BlackmanHarris, 0.358_75, 0.000_06),
    ] {
        let mut audio = Audio::<f64>::from_mono(RATE, &[1.0; 64]).unwrap();
        audio.window(window);
        assert_close(audio.dc(), mean, 1e-12);
        assert_close(audio.channel(0)[0], lowest, 1e-12);
        assert_close(audio.channel(0)[32], 1.0, 1e-12);
        // Periodic: frames n and N - n have the same value.
        (1..32).for_each(|n| assert_close(audio.channel(0)[n], audio.channel(0)[64 - n], 1e-12));
    }
}

#[test]
fn slices_have_the_rate_and_the_frames_of_their_range() {
    let audio = stereo();
    assert_eq!(audio.slice(1..3).unwrap().as_planar(), [-0.25, 0.125, 0.2, 0.3]);
    assert_eq!(audio.slice(1..=1).unwrap().frames(), 1);
    assert_eq!(audio.slice(..).unwrap(), audio);
    assert_eq!(audio.slice(4..).unwrap().frames(), 0);
    assert_eq!(message(audio.slice(2..5)), "expected frames within 0..4, found 2..5");
    #[expect(clippy::reversed_empty_ranges, reason = "the range is wrong on purpose")]
    let reversed = audio.slice(3..2);
    assert_eq!(message(reversed), "expected frames within 0..4, found 3..2");
    assert!(audio.slice(0..=usize::MAX).is_err());
}

#[test]
fn channels_are_mixed_extracted_and_repeated() {
    let audio = Audio::<f64>::from_channels(RATE, &[&[1.0, 0.5], &[0.0, -0.5]]).unwrap();
    assert_eq!(audio.mix_down().as_planar(), [0.5, 0.0]);
    assert_eq!(audio.extract(1).unwrap().as_planar(), [0.0, -0.5]);
    assert_eq!(message(audio.extract(2)), "expected a channel below 2, found channel 2");
    assert_eq!(audio.mix_down().repeat_channels(3).unwrap().as_planar(), [0.5, 0.0, 0.5, 0.0, 0.5, 0.0]);
    assert!(audio.repeat_channels(0).is_err());
    let full = Audio::from_channels(RATE, &[&[i16::MIN], &[i16::MIN]]).unwrap();
    assert_eq!(full.mix_down().as_planar(), [i16::MIN]);
}

#[test]
fn concatenation_joins_buffers_in_time() {
    let audio = stereo();
    let (head, tail) = (audio.slice(..1).unwrap(), audio.slice(1..).unwrap());
    assert_eq!(Audio::concatenate(&[&head, &tail]).unwrap(), audio);
    assert_eq!(message(Audio::<f64>::concatenate(&[])), "expected at least 1 buffer, found none");
    assert_eq!(
        message(Audio::concatenate(&[&audio, &Audio::silence(RATE, 1, 7)])),
        "expected 2 x 7 (channels x frames), found 1 x 7"
    );
    assert_eq!(message(Audio::concatenate(&[&audio, &Audio::silence(8_000, 2, 7)])), "other rate: 48000 Hz and 8000 Hz");
}

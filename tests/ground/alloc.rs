//! Operations on a buffer in place allocate nothing.

use isotherm::audio::{Audio, Fade, Operand, Window};
use isotherm_support::counting::allocations;
use ndarray::Array2;

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| ()), 0);
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![0_u8; 64]))), 2);
    let audio = Audio::<f32>::silence(48_000, 2, 480);
    assert!(allocations(|| drop(audio.add(0.5).unwrap())) > 0, "a new buffer allocates");
}

#[test]
fn arithmetic_in_place_allocates_nothing() {
    let mut audio = Audio::<f32>::silence(48_000, 4, 480);
    let (other, row, array) = (audio.add(0.5).unwrap(), vec![0.5; 480], Array2::from_elem((4, 480), 0.5));
    let address = audio.as_planar().as_ptr();
    let work = || {
        let operands: [Operand<'_, f32>; 4] = [0.5.into(), (&row).into(), (&array).into(), (&other).into()];
        for operand in operands {
            audio.add_in_place(operand.clone()).unwrap();
            audio.subtract_in_place(operand.clone()).unwrap();
            audio.multiply_in_place(operand.clone()).unwrap();
            audio.divide_in_place(operand).unwrap();
        }
        audio += &other;
        audio -= 0.25;
        audio *= 2.0;
        audio /= 4.0;
        assert!(audio.add_in_place(&[0.0; 3]).is_err());
        assert!(audio.divide_in_place(0.0).is_err());
    };
    assert_eq!(allocations(work), 0);
    assert_eq!(audio.as_planar().as_ptr(), address);
}

#[test]
fn edits_and_levels_in_place_allocate_nothing() {
    let mut audio = Audio::<f32>::silence(48_000, 2, 480);
    audio.channel_mut(0)[240] = 0.5;
    let work = || {
        audio.gain_db(-6.0);
        audio.fade_in(100, Fade::EqualPower).unwrap();
        audio.fade_out(100, Fade::RaisedCosine).unwrap();
        audio.window(Window::Blackman);
        audio.normalise_peak(-3.0).unwrap();
        audio.normalise_rms(-20.0).unwrap();
        assert!(audio.levels().crest().is_some() && audio.iter().len() == 2);
    };
    assert_eq!(allocations(work), 0);
}

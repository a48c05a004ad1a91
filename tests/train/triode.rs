//! The triode stage: operating point, gain, currents and distortion, compared with plain code and published figures.

use std::f64::consts::TAU;

use isotherm::audio::generate;
use isotherm::measure::null_db;
use isotherm::train::triode::{
    CAPACITORS, CATHODE, GRID, LEAK, NODES, OUTPUT, OUTPUT_VOLTS, PLATE, RESISTORS, SUPPLY_VOLTS, Terminal, TriodeCircuit,
    TriodeStage,
};

/// Steps in a second: 16 for each frame at 48 kHz.
const RATE: f64 = 768_000.0;

/// Koren's plate current of a 12AX7 in amperes, exactly as he writes the formula.
fn koren_plate_current(grid: f64, plate: f64) -> f64 {
    let e = plate / 600.0 * (1.0 + (600.0 * (1.0 / 100.0 + grid / (300.0 + plate * plate).sqrt())).exp()).ln();
    if e > 0.0 { 2.0 * e.powf(1.4) / 1060.0 } else { 0.0 }
}

/// Current in amperes through 2001 ohms and a diode with a saturation current of 1 nA, by bisection.
fn grid_diode_current(volts: f64) -> f64 {
    let (mut low, mut high) = (-1e-9, volts.max(0.0) / 2001.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        let found = 2001.0 * middle + 0.025_852 * (middle / 1e-9).ln_1p();
        if found < volts { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[test]
fn the_operating_point_is_where_the_load_line_meets_the_cathode_line() {
    // By bisection over the plate current, with no current in the grid.
    let (mut low, mut high) = (0.0, 3e-3);
    for _ in 0..100 {
        let amperes = 0.5 * (low + high);
        let cathode = 1.5e3 * amperes;
        if koren_plate_current(-cathode, SUPPLY_VOLTS - 100e3 * amperes - cathode) > amperes {
            low = amperes
        } else {
            high = amperes
        }
    }
    let found = TriodeCircuit::new(RATE).unwrap().voltages();
    assert!((found[PLATE] - (SUPPLY_VOLTS - 100e3 * low)).abs() < 0.05, "{found:?}, {low}");
    assert!((found[CATHODE] - 1.5e3 * low).abs() < 1e-3, "{found:?}, {low}");
    // Textbooks: about 1 mA and 1.5 V.
    assert!((0.7e-3..1.2e-3).contains(&low) && (1.0..1.8).contains(&found[CATHODE]), "{found:?}");
    assert!(found[OUTPUT].abs() < 1e-9 && found[GRID].abs() < 2e-3, "{found:?}");
}

/// Amplitudes in volts of harmonics 1 to 4 of the output for a sine of this amplitude, by correlation over 20 periods after half
/// a second.
fn harmonics(volts: f64, hz: f64) -> [f64; 4] {
    let mut triode = TriodeCircuit::new(RATE).unwrap();
    let phase = |t: usize| TAU * hz * t as f64 / RATE;
    let settling = (RATE / 2.0) as usize;
    let frames = (20.0 * RATE / hz) as usize;
    let mut sums = [(0.0, 0.0); 4];
    for t in 0..settling + frames {
        let y = triode.step(volts * phase(t).sin()).unwrap();
        if t >= settling {
            for (h, sum) in (1..).zip(&mut sums) {
                let angle = f64::from(h) * phase(t);
                *sum = (sum.0 + y * angle.sin(), sum.1 + y * angle.cos());
            }
        }
    }
    sums.map(|(s, c)| 2.0 * s.hypot(c) / frames as f64)
}

#[test]
fn a_small_signal_is_amplified_as_the_linear_circuit_says() {
    let nodes = TriodeCircuit::new(RATE).unwrap().voltages();
    let (grid, plate) = (nodes[GRID] - nodes[CATHODE], nodes[PLATE] - nodes[CATHODE]);
    let transconductance = (koren_plate_current(grid + 1e-3, plate) - koren_plate_current(grid - 1e-3, plate)) / 2e-3;
    let plate_ohms = 2e-1 / (koren_plate_current(grid, plate + 0.1) - koren_plate_current(grid, plate - 0.1));
    let load = 1.0 / (1.0 / 100e3 + 1.0 / 470e3);
    let expected = transconductance / (1.0 / plate_ohms + 1.0 / load);
    // RCA's manual: 59 with 300 V, 100 kilohm, and a load of 220 kilohm.
    assert!((55.0..65.0).contains(&expected), "{expected}");
    let gain = |hz: f64| harmonics(0.001, hz)[0] / 0.001;
    assert!((gain(1000.0) / expected - 1.0).abs() < 0.01, "{} {expected}", gain(1000.0));
    // One pole: the grid stopper, and the grid's capacitances with that to the plate multiplied by the gain (Miller effect).
    let farads = 2.3e-12 + 2.4e-12 * (1.0 + expected);
    let pole = 1.0 / (TAU * 68e3 * farads);
    let high = 1.0 / (12_000.0 / pole).hypot(1.0);
    assert!((gain(12_000.0) / expected / high - 1.0).abs() < 0.03, "{} {high}", gain(12_000.0) / expected);
    // Both coupling capacitors, and the cathode bypass, below which the cathode resistor lowers the gain.
    let hz = 8.0f64;
    let coupling = |farads: f64, ohms: f64| hz / hz.hypot(1.0 / (TAU * ohms * farads));
    let degeneration = 1.0 + 1.5e3 * (transconductance * plate_ohms + 1.0) / (plate_ohms + load);
    let zero = 1.0 / (TAU * 1.5e3 * 22e-6);
    let bypass = (hz / zero).hypot(1.0) / (hz / zero / degeneration).hypot(1.0) / degeneration;
    let source = 1.0 / (1.0 / plate_ohms + 1.0 / 100e3);
    let low = coupling(22e-9, 1e6) * coupling(22e-9, 470e3 + source) * bypass;
    assert!((gain(hz) / expected / low - 1.0).abs() < 0.05, "{} {low}", gain(hz) / expected);
}

#[test]
fn a_medium_signal_has_mostly_second_order_distortion() {
    let [first, second, third, fourth] = harmonics(0.3, 1000.0);
    assert!(second > 0.005 * first && second < 0.1 * first, "{first} {second}");
    assert!(second > 5.0 * third && third > fourth, "{second} {third} {fourth}");
}

#[test]
fn currents_into_every_node_sum_to_zero() {
    let mut triode = TriodeCircuit::new(RATE).unwrap();
    let at = |terminal: Terminal, nodes: &[f64; NODES], input: f64| match terminal {
        Terminal::Node(node) => nodes[node],
        Terminal::Input => input,
        Terminal::Supply => SUPPLY_VOLTS,
        Terminal::Ground => 0.0,
    };
    let across = |nodes: &[f64; NODES], input: f64| CAPACITORS.map(|(a, b, _)| at(a, nodes, input) - at(b, nodes, input));
    let (mut before, mut through) = (across(&triode.voltages(), 0.0), [0.0; CAPACITORS.len()]);
    let (mut worst, mut most_grid) = (0.0f64, 0.0f64);
    for t in 0..200_000 {
        // An amplitude that grows from 0 to 40 V: the grid conducts, and the tube is cut off.
        let input = 40.0 * f64::from(t) / 200_000.0 * (TAU * 440.0 * f64::from(t) / RATE).sin();
        triode.step(input).unwrap();
        let nodes = triode.voltages();
        let mut into = [0.0; NODES];
        let mut carry = |(a, b): (Terminal, Terminal), amperes: f64| {
            for (terminal, sign) in [(a, -1.0), (b, 1.0)] {
                if let Terminal::Node(node) = terminal {
                    into[node] += sign * amperes;
                }
            }
        };
        for (a, b, ohms) in RESISTORS {
            carry((a, b), (at(a, &nodes, input) - at(b, &nodes, input)) / ohms);
        }
        let now = across(&nodes, input);
        for (i, (a, b, farads)) in CAPACITORS.into_iter().enumerate() {
            // Trapezoidal rule: the mean of the currents at both ends of the step has charged the capacitor.
            through[i] = 2.0 * farads * RATE * (now[i] - before[i]) - through[i];
            carry((a, b), through[i]);
        }
        before = now;
        let grid = grid_diode_current(nodes[GRID] - nodes[CATHODE]);
        let plate = koren_plate_current(nodes[GRID] - nodes[CATHODE], nodes[PLATE] - nodes[CATHODE]);
        carry((Terminal::Node(PLATE), Terminal::Node(CATHODE)), plate);
        carry((Terminal::Node(GRID), Terminal::Node(CATHODE)), grid);
        worst = into.iter().fold(worst, |w, i| w.max(i.abs()));
        most_grid = most_grid.max(grid);
    }
    assert!(most_grid > 1e-4, "the grid never conducts: {most_grid} A");
    assert!(worst < 1e-9, "{worst:e} A");
}

#[test]
fn loud_notes_charge_the_coupling_capacitor_and_it_recovers() {
    let mut triode = TriodeCircuit::new(RATE).unwrap();
    let rest = triode.voltages()[LEAK];
    for t in 0..(RATE / 10.0) as usize {
        triode.step(10.0 * (TAU * 220.0 * t as f64 / RATE).sin()).unwrap();
    }
    triode.step(0.0).unwrap();
    let blocked = triode.voltages()[LEAK];
    assert!(blocked < rest - 2.0, "{blocked} V");
    for _ in 0..(RATE / 2.0) as usize {
        triode.step(0.0).unwrap();
    }
    assert!((triode.voltages()[LEAK] - rest).abs() < 0.01, "{} V", triode.voltages()[LEAK]);
}

fn music() -> Vec<f32> {
    generate::guitar(48_000, 1, 5).unwrap().channel(0)[..48_000].to_vec()
}

#[test]
fn twice_as_many_steps_change_less_than_100_db_below_the_sound() {
    let dry = music();
    let [a, b] = [16, 32].map(|oversampling| TriodeStage { volts: 2.0, oversampling }.render(48_000, &dry).unwrap());
    assert!(null_db(&b, &a) < -100.0, "{} dB", null_db(&b, &a));
}

#[test]
fn a_quiet_sound_is_amplified_without_delay_and_with_its_polarity() {
    // At middle frequencies the stage is an amplifier: neither coupling capacitors nor the tube's capacitances matter.
    let dry: Vec<f32> = (0..24_000).map(|t| (0.5 * (TAU * 500.0 * f64::from(t) / 48_000.0).sin()) as f32).collect();
    let volts = 0.002;
    let wet = TriodeStage { volts, oversampling: 16 }.render(48_000, &dry).unwrap();
    assert_eq!(wet.len(), dry.len());
    let [gain, ..] = harmonics(0.001, 500.0).map(|x| x / 0.001 * volts / OUTPUT_VOLTS);
    let louder: Vec<f32> = dry[12_000..].iter().map(|x| gain as f32 * x).collect();
    assert!(null_db(&wet[12_000..], &louder) < -25.0, "{} dB", null_db(&wet[12_000..], &louder));
}

#[test]
fn full_scale_noise_at_any_level_has_a_solution_below_full_scale() {
    let noise = generate::white(48_000, 1.0, 4_800, 3).unwrap();
    for volts in [1.0, 50.0] {
        for sample_rate in [8000, 48_000] {
            let wet = TriodeStage { volts, oversampling: 16 }.render(sample_rate, noise.channel(0)).unwrap();
            assert!(wet.iter().all(|y| y.abs() < 1.0), "{volts} V at {sample_rate} Hz");
        }
    }
    assert!(TriodeStage { volts: 2.0, oversampling: 16 }.render(48_000, &[]).unwrap().is_empty());
}

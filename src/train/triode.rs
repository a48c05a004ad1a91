//! A 12AX7 stage with a common cathode as a circuit, solved in f64: a target to train on and a reference to listen to.
//!
//! Nodal analysis: capacitors by the trapezoidal rule, and all that is linear is inverted once; for each step Newton's method finds
//! the two voltages that the currents of the tube depend on. Takes a second for some seconds of sound: nothing for the audio thread.

use std::f64::consts::PI;

/// The nodes whose voltages are sought.
pub const NODES: usize = 5;
/// Behind the input's capacitor.
pub const LEAK: usize = 0;
pub const GRID: usize = 1;
pub const CATHODE: usize = 2;
pub const PLATE: usize = 3;
/// Behind the output's capacitor.
pub const OUTPUT: usize = 4;

/// Where an element ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Node(usize),
    /// What the stage is driven by.
    Input,
    Supply,
    Ground,
}

/// In volts; with it and the resistors RCA's Receiving Tube Manual (RC-30, resistance-coupled amplifiers) gives a gain near 60.
pub const SUPPLY: f64 = 300.0;
/// In ohms: grid leak, grid stopper, cathode, plate load, what the stage is loaded with.
pub const RESISTORS: [(End, End, f64); 5] = [
    (End::Node(LEAK), End::Ground, 1e6),
    (End::Node(LEAK), End::Node(GRID), 68e3),
    (End::Node(CATHODE), End::Ground, 1.5e3),
    (End::Supply, End::Node(PLATE), 100e3),
    (End::Node(OUTPUT), End::Ground, 470e3),
];
/// In farads: coupling in front, bypass of the cathode, coupling behind, and between the electrodes as Koren has them.
pub const CAPACITORS: [(End, End, f64); 6] = [
    (End::Input, End::Node(LEAK), 22e-9),
    (End::Node(CATHODE), End::Ground, 22e-6),
    (End::Node(PLATE), End::Node(OUTPUT), 22e-9),
    (End::Node(GRID), End::Node(CATHODE), 2.3e-12),
    (End::Node(GRID), End::Node(PLATE), 2.4e-12),
    (End::Node(PLATE), End::Node(CATHODE), 0.9e-12),
];

/// The 12AX7 of N. Koren, "Improved vacuum tube models for SPICE simulations", Glass Audio 8(5), 1996: plate current
/// 2 E^EX / KG1 with E = `v_pk` / KP ln(1 + exp(KP (1 / MU + `v_gk` / sqrt(KVB + `v_pk`^2)))).
const MU: f64 = 100.0;
const EX: f64 = 1.4;
const KG1: f64 = 1060.0;
const KP: f64 = 600.0;
const KVB: f64 = 300.0;
/// Its grid: RGI and the RS of a diode of SPICE in series, in ohms; the diode's saturation current in amperes, and kT/q at 27 degrees
/// in volts.
const GRID_OHMS: f64 = 2001.0;
const SATURATION: f64 = 1e-9;
const THERMAL: f64 = 0.025_852;

/// Largest error of the two voltages that a step ends with, in volts; steps of Newton's method and halvings of one that are allowed.
const EXACT: f64 = 1e-10;
const MOST_ITERATIONS: usize = 100;
const MOST_HALVINGS: i32 = 30;

/// Why there is no sound.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("the circuit is {residual:e} V from a solution for an input of {volts} V; expected {EXACT:e} or less")]
pub struct Unsolved {
    pub volts: f64,
    pub residual: f64,
}

/// A value and its derivatives for the voltages from grid and from plate to cathode.
#[derive(Clone, Copy)]
struct Current {
    value: f64,
    by_grid: f64,
    by_plate: f64,
}

/// Amperes into the plate.
fn plate_current(grid: f64, plate: f64) -> Current {
    let root = (KVB + plate * plate).sqrt();
    let exponent = KP * (1.0 / MU + grid / root);
    // ln(1 + e^x) without overflow, and its slope.
    let soft = exponent.max(0.0) + (-exponent.abs()).exp().ln_1p();
    let slope = 1.0 / (1.0 + (-exponent).exp());
    let e = plate / KP * soft;
    if e <= 0.0 {
        return Current { value: 0.0, by_grid: 0.0, by_plate: 0.0 };
    }
    let value = 2.0 / KG1 * e.powf(EX);
    let by_e = EX * value / e;
    let by_plate = by_e * (soft / KP - slope * grid * (plate / root).powi(2) / root);
    Current { value, by_grid: by_e * slope * plate / root, by_plate }
}

/// Amperes into the grid: v = R i + `THERMAL` ln(1 + i / `SATURATION`), which Wright's omega function solves.
fn grid_current(grid: f64) -> Current {
    let scale = GRID_OHMS * SATURATION / THERMAL;
    let w = omega(grid / THERMAL + scale + scale.ln());
    Current { value: THERMAL * w / GRID_OHMS - SATURATION, by_grid: w / (1.0 + w) / GRID_OHMS, by_plate: 0.0 }
}

/// The w of w + ln w = z.
fn omega(z: f64) -> f64 {
    if z < -40.0 {
        return z.exp();
    }
    let mut w = if z > 1.0 { z - z.ln() } else { z.exp() };
    for _ in 0..20 {
        let error = z - w - w.ln();
        w *= 1.0 + error / (1.0 + w);
        if error.abs() < 1e-14 * z.abs().max(1.0) {
            break;
        }
    }
    w
}

type Vector = [f64; NODES];
type Matrix = [[f64; NODES]; NODES];

/// The nodes whose voltages' differences drive the tube, and the nodes that its currents leave; both end at the cathode.
const PORTS: [usize; 2] = [GRID, PLATE];

/// What is linear, for one kind of step.
#[derive(Clone, Debug)]
struct Linear {
    /// Voltages of the nodes for currents into them.
    inverse: Matrix,
    /// How much the tube's currents lower the voltages of its ports.
    ports: [[f64; 2]; 2],
}

impl Linear {
    /// `conductance`: of a capacitor of so many farads.
    fn new(conductance: impl Fn(f64) -> f64) -> Self {
        let mut admittance = Matrix::default();
        let resistors = RESISTORS.iter().map(|&(a, b, ohms)| (a, b, 1.0 / ohms));
        for (a, b, siemens) in resistors.chain(CAPACITORS.iter().map(|&(a, b, farads)| (a, b, conductance(farads)))) {
            for (a, b) in [(a, b), (b, a)] {
                if let End::Node(a) = a {
                    admittance[a][a] += siemens;
                    if let End::Node(b) = b {
                        admittance[a][b] -= siemens;
                    }
                }
            }
        }
        let inverse = inverted(admittance);
        let across = |row: usize, port: usize| inverse[row][PORTS[port]] - inverse[row][CATHODE];
        let ports = [0, 1].map(|i| [0, 1].map(|j| across(PORTS[i], j) - across(CATHODE, j)));
        Self { inverse, ports }
    }

    fn voltages(&self, currents: &Vector) -> Vector {
        std::array::from_fn(|i| self.inverse[i].iter().zip(currents).map(|(r, i)| r * i).sum())
    }

    /// The voltages of all nodes with the tube, for currents from elsewhere; `ports` is where the search begins, and the solution.
    fn solve(&self, currents: &Vector, ports: &mut [f64; 2], volts: f64) -> Result<Vector, Unsolved> {
        let open = self.voltages(currents);
        let open = PORTS.map(|node| open[node] - open[CATHODE]);
        let tube = |[grid, plate]: [f64; 2]| [grid_current(grid), plate_current(grid, plate)];
        let error = |at: [f64; 2], [grid, plate]: [Current; 2]| -> [f64; 2] {
            std::array::from_fn(|i| at[i] - open[i] + self.ports[i][0] * grid.value + self.ports[i][1] * plate.value)
        };
        let size = |e: [f64; 2]| e[0].abs().max(e[1].abs());
        let (mut at, mut flow) = (*ports, tube(*ports));
        let mut residual = error(at, flow);
        for _ in 0..MOST_ITERATIONS {
            if size(residual) <= EXACT {
                break;
            }
            let slope = |i: usize, by: fn(&Current) -> f64| self.ports[i][0] * by(&flow[0]) + self.ports[i][1] * by(&flow[1]);
            let (a, b) = (1.0 + slope(0, |c| c.by_grid), slope(0, |c| c.by_plate));
            let (c, d) = (slope(1, |c| c.by_grid), 1.0 + slope(1, |c| c.by_plate));
            let determinant = a * d - b * c;
            let step = [(d * residual[0] - b * residual[1]) / determinant, (a * residual[1] - c * residual[0]) / determinant];
            // Half of it, and half of that, until it helps.
            let better = (0..MOST_HALVINGS).find_map(|halvings| {
                let part = 0.5f64.powi(halvings);
                let next = [at[0] - part * step[0], at[1] - part * step[1]];
                let flow = tube(next);
                let left = error(next, flow);
                (size(left) < size(residual)).then_some((next, flow, left))
            });
            let Some(better) = better else { break };
            (at, flow, residual) = better;
        }
        if size(residual) > EXACT {
            return Err(Unsolved { volts, residual: size(residual) });
        }
        *ports = at;
        let mut all = *currents;
        for (node, flow) in PORTS.into_iter().zip(flow) {
            all[node] -= flow.value;
            all[CATHODE] += flow.value;
        }
        Ok(self.voltages(&all))
    }
}

/// By Gauss and Jordan, with the largest pivot of each column.
fn inverted(mut a: Matrix) -> Matrix {
    let mut inverse: Matrix = std::array::from_fn(|i| std::array::from_fn(|j| f64::from(u8::from(i == j))));
    for column in 0..NODES {
        let pivot = (column..NODES).max_by(|i, j| a[*i][column].abs().total_cmp(&a[*j][column].abs())).unwrap_or(column);
        a.swap(column, pivot);
        inverse.swap(column, pivot);
        let scale = 1.0 / a[column][column];
        a[column].iter_mut().chain(&mut inverse[column]).for_each(|x| *x *= scale);
        let (own, own_inverse) = (a[column], inverse[column]);
        for row in (0..NODES).filter(|row| *row != column) {
            let factor = a[row][column];
            a[row].iter_mut().zip(own).for_each(|(x, y)| *x -= factor * y);
            inverse[row].iter_mut().zip(own_inverse).for_each(|(x, y)| *x -= factor * y);
        }
    }
    inverse
}

/// The stage over time.
#[derive(Clone, Debug)]
pub struct Triode {
    linear: Linear,
    /// 2 / step, in hertz.
    double_rate: f64,
    ports: [f64; 2],
    voltages: Vector,
    /// Of each capacitor: volts across it and amperes through it.
    charges: [(f64, f64); CAPACITORS.len()],
}

/// Currents into the nodes from the sources through a conductance.
fn push(currents: &mut Vector, (a, b): (End, End), siemens: f64, volts: f64, history: f64) {
    for (own, other, sign) in [(a, b, 1.0), (b, a, -1.0)] {
        if let End::Node(node) = own {
            currents[node] += sign * history;
            match other {
                End::Input => currents[node] += siemens * volts,
                End::Supply => currents[node] += siemens * SUPPLY,
                End::Node(_) | End::Ground => {}
            }
        }
    }
}

impl Triode {
    /// At rest: the operating point without an input, for steps of 1 / `rate` seconds. [control thread]
    ///
    /// # Errors
    /// If none is found, which no rate makes happen.
    pub fn new(rate: f64) -> Result<Self, Unsolved> {
        let mut currents = Vector::default();
        for (a, b, ohms) in RESISTORS {
            push(&mut currents, (a, b), 1.0 / ohms, 0.0, 0.0);
        }
        // Anywhere within the tube's range will do.
        let mut ports = [-1.0, 0.5 * SUPPLY];
        let voltages = Linear::new(|_| 0.0).solve(&currents, &mut ports, 0.0)?;
        let charges = CAPACITORS.map(|(a, b, _)| (volts_at(a, &voltages, 0.0) - volts_at(b, &voltages, 0.0), 0.0));
        let double_rate = 2.0 * rate;
        Ok(Self { linear: Linear::new(|farads| farads * double_rate), double_rate, ports, voltages, charges })
    }

    /// Volts of the nodes now. [any thread]
    #[must_use]
    pub fn voltages(&self) -> [f64; NODES] {
        self.voltages
    }

    /// The next step, with so many volts at the input. Returns those of the output. [control thread]
    ///
    /// # Errors
    /// If Newton's method finds no solution.
    pub fn step(&mut self, volts: f64) -> Result<f64, Unsolved> {
        let mut currents = Vector::default();
        for (a, b, ohms) in RESISTORS {
            push(&mut currents, (a, b), 1.0 / ohms, volts, 0.0);
        }
        for ((a, b, farads), (across, through)) in CAPACITORS.into_iter().zip(self.charges) {
            let siemens = farads * self.double_rate;
            push(&mut currents, (a, b), siemens, volts, siemens * across + through);
        }
        self.voltages = self.linear.solve(&currents, &mut self.ports, volts)?;
        for ((a, b, farads), (across, through)) in CAPACITORS.into_iter().zip(&mut self.charges) {
            let now = volts_at(a, &self.voltages, volts) - volts_at(b, &self.voltages, volts);
            *through = farads * self.double_rate * (now - *across) - *through;
            *across = now;
        }
        Ok(self.voltages[OUTPUT])
    }
}

fn volts_at(end: End, voltages: &Vector, input: f64) -> f64 {
    match end {
        End::Node(node) => voltages[node],
        End::Input => input,
        End::Supply => SUPPLY,
        End::Ground => 0.0,
    }
}

/// Volts at the output that are full scale: further from its mean the plate cannot come.
pub const OUTPUT_VOLTS: f64 = SUPPLY;
/// Steps for each frame: twice as many change music by less than -100 dB.
pub const OVERSAMPLING: usize = 16;
/// Frames on either side of one that the filters between the rates reach: flat to 22 kHz at 48 kHz.
const REACH: usize = 48;

/// The stage as an effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// Volts at the input that are full scale.
    pub volts: f64,
    /// Steps for each frame.
    pub oversampling: usize,
}

impl Stage {
    /// The stage's output in step with its input and right way up, though a tube turns it over. [control thread: takes its time]
    ///
    /// # Errors
    /// If the circuit has no solution somewhere.
    pub fn render(&self, sample_rate: u32, dry: &[f32]) -> Result<Vec<f32>, Unsolved> {
        let factor = self.oversampling;
        let mut triode = Triode::new(f64::from(sample_rate) * factor as f64)?;
        // One row for each step of a frame, for the frames from REACH before it to REACH behind.
        let ways_up: Vec<Vec<f64>> = (0..factor)
            .map(|step| (0..2 * REACH).map(|k| sinc(step as f64 / factor as f64 + REACH as f64 - k as f64)).collect())
            .collect();
        let span = 2 * REACH * factor;
        let way_down: Vec<f64> =
            (0..span).map(|k| sinc(k as f64 / factor as f64 - REACH as f64) / (factor as f64 * -OUTPUT_VOLTS)).collect();
        let silence = [0.0f64; 2 * REACH];
        let padded: Vec<f64> = silence.into_iter().chain(dry.iter().map(|x| self.volts * f64::from(*x))).chain(silence).collect();
        let mut wet = Vec::with_capacity(dry.len());
        // What the filter down still needs of the steps, and steps that it does not need any more in front of it.
        let (mut steps, mut gone) = (Vec::new(), 0);
        for around in padded.windows(2 * REACH) {
            for way in &ways_up {
                steps.push(triode.step(dot(way, around))?);
            }
            if steps.len() - gone >= span && wet.len() < dry.len() {
                wet.push(dot(&way_down, &steps[gone..gone + span]) as f32);
                gone += factor;
            }
            if gone > 64 * span {
                steps.drain(..gone);
                gone = 0;
            }
        }
        Ok(wet)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// sin(pi t) / (pi t) under a window of Blackman and Harris with four terms (F. J. Harris, Proc. IEEE 66(1), 1978): -92 dB.
fn sinc(t: f64) -> f64 {
    let place = t / REACH as f64;
    if place.abs() >= 1.0 {
        return 0.0;
    }
    let turn = PI * place;
    let window = 0.358_75 + 0.488_29 * turn.cos() + 0.141_28 * (2.0 * turn).cos() + 0.011_68 * (3.0 * turn).cos();
    if t == 0.0 { 1.0 } else { window * (PI * t).sin() / (PI * t) }
}

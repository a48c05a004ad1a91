//! A 12AX7 common-cathode stage as a circuit, solved in f64: a target to train on and a reference to listen to.
//!
//! Nodal analysis with the trapezoidal rule for the capacitors. The linear part's admittance matrix is inverted once; at each
//! step Newton's method finds the two voltages on which the tube's currents depend: grid to cathode and plate to cathode. A few
//! seconds of sound take about a second, so this never runs on the audio thread.

use std::f64::consts::PI;

/// Number of nodes whose voltages are unknown; the constants below are their indices.
pub const NODES: usize = 5;
/// Node between the input's coupling capacitor, the grid leak and the grid stopper.
pub const LEAK: usize = 0;
/// Node of the tube's grid.
pub const GRID: usize = 1;
/// Node of the tube's cathode.
pub const CATHODE: usize = 2;
/// Node of the tube's plate.
pub const PLATE: usize = 3;
/// Node between the output's coupling capacitor and the load.
pub const OUTPUT: usize = 4;

/// A terminal of a resistor or a capacitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// The node of this index, below [`NODES`].
    Node(usize),
    /// The voltage source that drives the stage.
    Input,
    /// The supply of [`SUPPLY_VOLTS`].
    Supply,
    /// 0 V.
    Ground,
}

/// Plate supply in volts. For it and these resistors RCA's Receiving Tube Manual (RC-30, resistance-coupled amplifiers) gives a
/// gain near 60.
pub const SUPPLY_VOLTS: f64 = 300.0;
/// Resistors: two terminals and ohms. Grid leak, grid stopper, cathode resistor, plate load, load of the stage.
pub const RESISTORS: [(Terminal, Terminal, f64); 5] = [
    (Terminal::Node(LEAK), Terminal::Ground, 1e6),
    (Terminal::Node(LEAK), Terminal::Node(GRID), 68e3),
    (Terminal::Node(CATHODE), Terminal::Ground, 1.5e3),
    (Terminal::Supply, Terminal::Node(PLATE), 100e3),
    (Terminal::Node(OUTPUT), Terminal::Ground, 470e3),
];
/// Capacitors: two terminals and farads. Input coupling, cathode bypass, output coupling, and the tube's capacitances between its
/// electrodes as Koren gives them.
pub const CAPACITORS: [(Terminal, Terminal, f64); 6] = [
    (Terminal::Input, Terminal::Node(LEAK), 22e-9),
    (Terminal::Node(CATHODE), Terminal::Ground, 22e-6),
    (Terminal::Node(PLATE), Terminal::Node(OUTPUT), 22e-9),
    (Terminal::Node(GRID), Terminal::Node(CATHODE), 2.3e-12),
    (Terminal::Node(GRID), Terminal::Node(PLATE), 2.4e-12),
    (Terminal::Node(PLATE), Terminal::Node(CATHODE), 0.9e-12),
];

/// Constants of the plate current of a 12AX7 by N. Koren, "Improved vacuum tube models for SPICE simulations", Glass Audio 8(5),
/// 1996: 2 E^EX / KG1 with E = `v_pk` / KP ln(1 + exp(KP (1 / MU + `v_gk` / sqrt(KVB + `v_pk`^2)))).
const MU: f64 = 100.0;
const EX: f64 = 1.4;
const KG1: f64 = 1060.0;
const KP: f64 = 600.0;
const KVB: f64 = 300.0;
/// Resistance in series with the diode of the grid, in ohms: Koren's RGI and the RS of the SPICE diode.
const GRID_OHMS: f64 = 2001.0;
/// Saturation current of that diode, in amperes.
const SATURATION_AMPERES: f64 = 1e-9;
/// Thermal voltage kT/q at 27 degrees Celsius, in volts.
const THERMAL_VOLTS: f64 = 0.025_852;

/// The largest error of the two voltages at which Newton's method may end, in volts.
const TOLERANCE_VOLTS: f64 = 1e-10;
/// Largest number of steps of Newton's method.
const MAX_ITERATIONS: usize = 100;
/// Largest number of halvings of a step of Newton's method that makes the error larger.
const MAX_HALVINGS: i32 = 30;

/// A failure of Newton's method: no operating point was found for an input.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("the circuit is {residual:e} V from a solution for an input of {volts} V; expected {TOLERANCE_VOLTS:e} or less")]
pub struct SolveError {
    /// The input, in volts.
    pub volts: f64,
    /// The error that is left, in volts.
    pub residual: f64,
}

/// A current of the tube, with its derivatives.
#[derive(Clone, Copy)]
struct TubeCurrent {
    /// In amperes.
    value: f64,
    /// Derivative for the voltage from grid to cathode, in siemens.
    by_grid: f64,
    /// Derivative for the voltage from plate to cathode, in siemens.
    by_plate: f64,
}

/// Current into the plate, for the voltages from grid and plate to cathode.
fn plate_current(grid: f64, plate: f64) -> TubeCurrent {
    let root = (KVB + plate * plate).sqrt();
    let exponent = KP * (1.0 / MU + grid / root);
    // ln(1 + e^x) without overflow, and its derivative.
    let soft = exponent.max(0.0) + (-exponent.abs()).exp().ln_1p();
    let slope = 1.0 / (1.0 + (-exponent).exp());
    let e = plate / KP * soft;
    if e <= 0.0 {
        return TubeCurrent { value: 0.0, by_grid: 0.0, by_plate: 0.0 };
    }
    let value = 2.0 / KG1 * e.powf(EX);
    let by_e = EX * value / e;
    let by_plate = by_e * (soft / KP - slope * grid * (plate / root).powi(2) / root);
    TubeCurrent { value, by_grid: by_e * slope * plate / root, by_plate }
}

/// Current i into the grid, for the voltage v from grid to cathode: v = R i + `THERMAL_VOLTS` ln(1 + i / `SATURATION_AMPERES`).
/// The Wright omega function solves it.
fn grid_current(grid: f64) -> TubeCurrent {
    let scale = GRID_OHMS * SATURATION_AMPERES / THERMAL_VOLTS;
    let w = wright_omega(grid / THERMAL_VOLTS + scale + scale.ln());
    TubeCurrent { value: THERMAL_VOLTS * w / GRID_OHMS - SATURATION_AMPERES, by_grid: w / (1.0 + w) / GRID_OHMS, by_plate: 0.0 }
}

/// The Wright omega function of a real z: the w with w + ln w = z.
fn wright_omega(z: f64) -> f64 {
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

/// A value of each node: volts, or amperes into it.
type NodeVector = [f64; NODES];
/// Conductances in siemens between nodes, or their inverse in ohms.
type NodeMatrix = [[f64; NODES]; NODES];

/// The tube's ports: from grid and from plate to the cathode. Their voltages determine the tube's currents, which flow through
/// them.
const PORTS: [usize; 2] = [GRID, PLATE];

/// The circuit without the tube, for one length of a time step.
#[derive(Clone, Debug)]
struct LinearNetwork {
    /// Inverse of the admittance matrix: it gives the nodes' voltages for the currents into them.
    inverse: NodeMatrix,
    /// Resistances in ohms by which the tube's currents lower the voltages of its ports.
    ports: [[f64; 2]; 2],
}

impl LinearNetwork {
    /// The network in which `conductance` gives a capacitor's conductance in siemens for its farads.
    fn new(conductance: impl Fn(f64) -> f64) -> Self {
        let mut admittance = NodeMatrix::default();
        let resistors = RESISTORS.iter().map(|&(a, b, ohms)| (a, b, 1.0 / ohms));
        for (a, b, siemens) in resistors.chain(CAPACITORS.iter().map(|&(a, b, farads)| (a, b, conductance(farads)))) {
            for (a, b) in [(a, b), (b, a)] {
                if let Terminal::Node(a) = a {
                    admittance[a][a] += siemens;
                    if let Terminal::Node(b) = b {
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

    /// Voltages of the nodes for the currents into them, without the tube.
    fn voltages(&self, currents: &NodeVector) -> NodeVector {
        std::array::from_fn(|i| self.inverse[i].iter().zip(currents).map(|(r, i)| r * i).sum())
    }

    /// Voltages of the nodes with the tube, for the currents from sources and capacitors. `ports` are the ports' voltages at
    /// which the search begins, and afterwards those of the solution. `volts` is the input, for the error.
    fn solve(&self, currents: &NodeVector, ports: &mut [f64; 2], volts: f64) -> Result<NodeVector, SolveError> {
        let open = self.voltages(currents);
        let open = PORTS.map(|node| open[node] - open[CATHODE]);
        let tube = |[grid, plate]: [f64; 2]| [grid_current(grid), plate_current(grid, plate)];
        let error = |at: [f64; 2], [grid, plate]: [TubeCurrent; 2]| -> [f64; 2] {
            std::array::from_fn(|i| at[i] - open[i] + self.ports[i][0] * grid.value + self.ports[i][1] * plate.value)
        };
        let size = |e: [f64; 2]| e[0].abs().max(e[1].abs());
        let (mut at, mut currents_at) = (*ports, tube(*ports));
        let mut residual = error(at, currents_at);
        for _ in 0..MAX_ITERATIONS {
            if size(residual) <= TOLERANCE_VOLTS {
                break;
            }
            let slope = |i: usize, by: fn(&TubeCurrent) -> f64| {
                self.ports[i][0] * by(&currents_at[0]) + self.ports[i][1] * by(&currents_at[1])
            };
            let (a, b) = (1.0 + slope(0, |c| c.by_grid), slope(0, |c| c.by_plate));
            let (c, d) = (slope(1, |c| c.by_grid), 1.0 + slope(1, |c| c.by_plate));
            let determinant = a * d - b * c;
            let step = [(d * residual[0] - b * residual[1]) / determinant, (a * residual[1] - c * residual[0]) / determinant];
            // The step is halved until it makes the error smaller.
            let better = (0..MAX_HALVINGS).find_map(|halvings| {
                let part = 0.5f64.powi(halvings);
                let next = [at[0] - part * step[0], at[1] - part * step[1]];
                let currents_next = tube(next);
                let left = error(next, currents_next);
                (size(left) < size(residual)).then_some((next, currents_next, left))
            });
            let Some(better) = better else { break };
            (at, currents_at, residual) = better;
        }
        if size(residual) > TOLERANCE_VOLTS {
            return Err(SolveError { volts, residual: size(residual) });
        }
        *ports = at;
        let mut all_currents = *currents;
        for (node, current) in PORTS.into_iter().zip(currents_at) {
            all_currents[node] -= current.value;
            all_currents[CATHODE] += current.value;
        }
        Ok(self.voltages(&all_currents))
    }
}

/// Inverse of a matrix by Gauss-Jordan elimination, with the largest pivot of each column.
fn inverted(mut a: NodeMatrix) -> NodeMatrix {
    let mut inverse: NodeMatrix = std::array::from_fn(|i| std::array::from_fn(|j| f64::from(u8::from(i == j))));
    for column in 0..NODES {
        let pivot = (column..NODES).max_by(|i, j| a[*i][column].abs().total_cmp(&a[*j][column].abs())).unwrap_or(column);
        a.swap(column, pivot);
        inverse.swap(column, pivot);
        let scale = 1.0 / a[column][column];
        a[column].iter_mut().chain(&mut inverse[column]).for_each(|x| *x *= scale);
        let (pivot_row, inverse_row) = (a[column], inverse[column]);
        for row in (0..NODES).filter(|row| *row != column) {
            let factor = a[row][column];
            a[row].iter_mut().zip(pivot_row).for_each(|(x, y)| *x -= factor * y);
            inverse[row].iter_mut().zip(inverse_row).for_each(|(x, y)| *x -= factor * y);
        }
    }
    inverse
}

/// The state of the circuit, which is solved step by step.
#[derive(Clone, Debug)]
pub struct TriodeCircuit {
    linear: LinearNetwork,
    /// 2 / (duration of a step), in hertz: the factor of the trapezoidal rule.
    double_rate: f64,
    /// Voltages of the tube's ports.
    ports: [f64; 2],
    /// Voltages of the nodes.
    voltages: NodeVector,
    /// State of each capacitor: volts across it and amperes through it.
    capacitors: [(f64, f64); CAPACITORS.len()],
}

/// Adds the currents into the nodes of an element that come from the sources through its conductance, and for a capacitor from
/// its history (in amperes). `volts` is the input.
fn inject(currents: &mut NodeVector, (a, b): (Terminal, Terminal), siemens: f64, volts: f64, history: f64) {
    for (terminal, other, sign) in [(a, b, 1.0), (b, a, -1.0)] {
        if let Terminal::Node(node) = terminal {
            currents[node] += sign * history;
            match other {
                Terminal::Input => currents[node] += siemens * volts,
                Terminal::Supply => currents[node] += siemens * SUPPLY_VOLTS,
                Terminal::Node(_) | Terminal::Ground => {}
            }
        }
    }
}

impl TriodeCircuit {
    /// The circuit at its operating point without an input, for steps of 1 / `rate` seconds. [control thread]
    ///
    /// # Errors
    /// If no operating point is found, which does not happen at any rate.
    pub fn new(rate: f64) -> Result<Self, SolveError> {
        let mut currents = NodeVector::default();
        for (a, b, ohms) in RESISTORS {
            inject(&mut currents, (a, b), 1.0 / ohms, 0.0, 0.0);
        }
        // Any voltages within the tube's range will do to begin with.
        let mut ports = [-1.0, 0.5 * SUPPLY_VOLTS];
        let voltages = LinearNetwork::new(|_| 0.0).solve(&currents, &mut ports, 0.0)?;
        let capacitors = CAPACITORS.map(|(a, b, _)| (volts_at(a, &voltages, 0.0) - volts_at(b, &voltages, 0.0), 0.0));
        let double_rate = 2.0 * rate;
        Ok(Self { linear: LinearNetwork::new(|farads| farads * double_rate), double_rate, ports, voltages, capacitors })
    }

    /// Voltages of the nodes after the last step. [any thread]
    #[must_use]
    pub fn voltages(&self) -> [f64; NODES] {
        self.voltages
    }

    /// Goes one step on with `volts` at the input. Returns the volts at the output. [control thread]
    ///
    /// # Errors
    /// If Newton's method finds no solution.
    pub fn step(&mut self, volts: f64) -> Result<f64, SolveError> {
        let mut currents = NodeVector::default();
        for (a, b, ohms) in RESISTORS {
            inject(&mut currents, (a, b), 1.0 / ohms, volts, 0.0);
        }
        for ((a, b, farads), (across, through)) in CAPACITORS.into_iter().zip(self.capacitors) {
            let siemens = farads * self.double_rate;
            inject(&mut currents, (a, b), siemens, volts, siemens * across + through);
        }
        self.voltages = self.linear.solve(&currents, &mut self.ports, volts)?;
        for ((a, b, farads), (across, through)) in CAPACITORS.into_iter().zip(&mut self.capacitors) {
            let now = volts_at(a, &self.voltages, volts) - volts_at(b, &self.voltages, volts);
            *through = farads * self.double_rate * (now - *across) - *through;
            *across = now;
        }
        Ok(self.voltages[OUTPUT])
    }
}

/// Voltage of a terminal.
fn volts_at(terminal: Terminal, voltages: &NodeVector, input: f64) -> f64 {
    match terminal {
        Terminal::Node(node) => voltages[node],
        Terminal::Input => input,
        Terminal::Supply => SUPPLY_VOLTS,
        Terminal::Ground => 0.0,
    }
}

/// Volts at the output that are full scale: the plate's voltage cannot move further from its mean.
pub const OUTPUT_VOLTS: f64 = SUPPLY_VOLTS;
/// Steps for each frame. With twice as many the output for music differs by less than -100 dB.
pub const OVERSAMPLING: usize = 16;
/// Frames on either side that the resampling filters use: at 48 kHz they are flat to 22 kHz.
const FILTER_REACH: usize = 48;

/// The stage as an effect on sounds, at a multiple of their rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TriodeStage {
    /// Volts at the input that are full scale.
    pub volts: f64,
    /// Steps for each frame.
    pub oversampling: usize,
}

impl TriodeStage {
    /// Renders a sound through the stage, aligned with the input and with its polarity, which the tube inverts. Full scale at the
    /// output is [`OUTPUT_VOLTS`]. [control thread: takes its time]
    ///
    /// # Errors
    /// If the circuit has no solution for a sample.
    pub fn render(&self, sample_rate: u32, dry: &[f32]) -> Result<Vec<f32>, SolveError> {
        let factor = self.oversampling;
        let mut triode = TriodeCircuit::new(f64::from(sample_rate) * factor as f64)?;
        // Interpolation filters, one for each step of a frame, over the frames from FILTER_REACH before it to FILTER_REACH
        // after it.
        let up_filters: Vec<Vec<f64>> = (0..factor)
            .map(|step| step as f64 / factor as f64 + FILTER_REACH as f64)
            .map(|offset| (0..2 * FILTER_REACH).map(|k| sinc(offset - k as f64)).collect())
            .collect();
        let span = 2 * FILTER_REACH * factor;
        let down_filter: Vec<f64> =
            (0..span).map(|k| sinc(k as f64 / factor as f64 - FILTER_REACH as f64) / (factor as f64 * -OUTPUT_VOLTS)).collect();
        let silence = [0.0f64; 2 * FILTER_REACH];
        let padded: Vec<f64> = silence.into_iter().chain(dry.iter().map(|x| self.volts * f64::from(*x))).chain(silence).collect();
        let mut wet = Vec::with_capacity(dry.len());
        // Outputs of the steps; the first `used` of them are no longer needed by the downsampling filter.
        let (mut steps, mut used) = (Vec::new(), 0);
        for around in padded.windows(2 * FILTER_REACH) {
            for filter in &up_filters {
                steps.push(triode.step(dot(filter, around))?);
            }
            if steps.len() - used >= span && wet.len() < dry.len() {
                wet.push(dot(&down_filter, &steps[used..used + span]) as f32);
                used += factor;
            }
            if used > 64 * span {
                steps.drain(..used);
                used = 0;
            }
        }
        Ok(wet)
    }
}

/// Scalar product.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A windowed sinc, t in frames: sin(pi t) / (pi t) times the four-term Blackman-Harris window (F. J. Harris, Proc. IEEE 66(1),
/// 1978), with sidelobes of -92 dB.
fn sinc(t: f64) -> f64 {
    let position = t / FILTER_REACH as f64;
    if position.abs() >= 1.0 {
        return 0.0;
    }
    let angle = PI * position;
    let window = 0.358_75 + 0.488_29 * angle.cos() + 0.141_28 * (2.0 * angle).cos() + 0.011_68 * (3.0 * angle).cos();
    if t == 0.0 { 1.0 } else { window * (PI * t).sin() / (PI * t) }
}

//! Pseudo-random numbers that are the same on every machine.

/// The generator SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014). A seed
/// gives the same numbers on every machine and in every version: generated sounds, trained models and checkpoints depend on
/// them. [any thread]
///
/// ```
/// use isotherm::audio::Random;
///
/// let mut random = Random::new(7);
/// let noise: Vec<f64> = (0..100).map(|_| random.bipolar()).collect();
/// assert!(noise.iter().all(|x| (-1.0..1.0).contains(x)));
/// // A copy of the state continues with the same numbers.
/// assert_eq!(Random::new(random.state()).bits(), random.bits());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random(u64);

impl Random {
    /// A generator with a seed, or with the state of another generator ([`Self::state`]).
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The generator `number` of a family with one seed. Their sequences begin far apart, so they never overlap.
    #[must_use]
    pub fn stream(seed: u64, number: u64) -> Self {
        let mut first = Self(seed);
        Self(first.bits().wrapping_add(number.wrapping_mul(0xD134_2543_DE82_EF95)))
    }

    /// The whole state, on which all further numbers depend.
    #[must_use]
    pub const fn state(&self) -> u64 {
        self.0
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A uniform number from 0 to below 1, in steps of 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A uniform number from -1 to below 1, in steps of 2^-52.
    pub fn bipolar(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// A uniform number from `low` to `high`.
    pub fn within(&mut self, low: f32, high: f32) -> f32 {
        (f64::from(low) + f64::from(high - low) * self.unit()) as f32
    }

    /// A uniform whole number from 0 to below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.unit() * end as f64) as usize
    }
}

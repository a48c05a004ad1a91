//! The loss that training minimises: error to signal with pre-emphasis, error to signal without, the constant offset of the
//! error, and the error to signal of each octave.

/// Coefficients of the loss's parts. With e = target - output, the loss is the energy of the pre-emphasised e divided by that of
/// the pre-emphasised target, plus `plain` and `dc` times the next two parts, both divided by the energy of the target, plus
/// `octaves` times the mean of the octaves' errors to signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// Coefficient c of the pre-emphasis e(t) - c e(t - 1), 0 to 1 (Wright et al., DAFx-19, with 0.95; NAM and GuitarML 0.85).
    pub emphasis: f32,
    /// Weight of the error's energy without pre-emphasis: the pre-emphasis hides slow errors.
    pub plain: f32,
    /// Weight of the squared mean of each sequence's error, multiplied by its number of frames.
    pub dc: f32,
    /// Weight of the octaves' mean error to signal ([`OctaveTerm`](super::octave_term::OctaveTerm)); 0: it is not computed.
    pub octaves: f32,
}

impl Default for Loss {
    fn default() -> Self {
        Self::EMPHASIS
    }
}

/// A name that is none of [`LOSS_NAMES`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{found}' is no loss; expected {LOSS_NAMES}")]
pub struct LossError {
    /// The name.
    pub found: String,
}

/// The names that [`Loss::parse`] takes, for messages and help.
pub const LOSS_NAMES: &str = "emphasis or octaves";

impl Loss {
    /// Pre-emphasis and nothing more against the weight of the bass.
    pub const EMPHASIS: Self = Self { emphasis: 0.85, plain: 1.0, dc: 0.1, octaves: 0.0 };
    /// [`Self::EMPHASIS`], and each octave by the signal's own level in it.
    pub const OCTAVES: Self = Self { octaves: 1.0, ..Self::EMPHASIS };

    /// The loss of a name of [`LOSS_NAMES`]. [any thread]
    ///
    /// # Errors
    /// If there is no such name.
    pub fn parse(name: &str) -> Result<Self, LossError> {
        match name {
            "octaves" => Ok(Self::OCTAVES),
            "emphasis" => Ok(Self::EMPHASIS),
            _ => Err(LossError { found: name.to_owned() }),
        }
    }
}

/// Energies of the targets of a batch, by which the loss's parts are divided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetEnergy {
    /// With pre-emphasis.
    emphasised: f32,
    /// Without.
    plain: f32,
}

/// Target and output of some sequences side by side, both `[frames][lanes]`.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    /// The wet sound.
    pub target: &'a [f32],
    /// The network's output.
    pub output: &'a [f32],
    /// Number of sequences.
    pub lanes: usize,
    /// First frame whose error is part of the loss.
    pub first_frame: usize,
}

/// Added to the energy of a target for each sample: without it, a batch of silence would have an enormous loss.
const MIN_ENERGY: f32 = 1e-8;

impl Loss {
    /// The energies of a batch. Each item of `targets` is a target, `[frames][lanes]`, with its number of lanes and the first
    /// frame that counts. [any thread]
    #[must_use]
    pub fn energy<'a>(&self, targets: impl Iterator<Item = (&'a [f32], usize, usize)>) -> TargetEnergy {
        let (mut emphasised, mut plain, mut count) = (0.0f64, 0.0f64, 0usize);
        for (target, lanes, first_frame) in targets {
            let start = first_frame.max(1) * lanes;
            count += target.len() - start;
            let (mut target_emphasised, mut target_plain) = (0.0f32, 0.0f32);
            for (now, before) in target[start..].iter().zip(&target[start - lanes..]) {
                let difference = now - self.emphasis * before;
                target_emphasised += difference * difference;
                target_plain += now * now;
            }
            emphasised += f64::from(target_emphasised);
            plain += f64::from(target_plain);
        }
        let offset = MIN_ENERGY * count as f32;
        TargetEnergy { emphasised: emphasised as f32 + offset, plain: plain as f32 + offset }
    }

    /// Returns the loss of some sequences of a batch, and sets `gradient`, `[frames][lanes]`, to its derivatives for their
    /// outputs. `last_errors`, `[lanes]`, has the error at the frame before the first (only read if `first_frame` is 0), and
    /// afterwards that at the last frame. [training thread]
    ///
    /// # Panics
    /// If lengths disagree.
    pub fn gradient(&self, energy: &TargetEnergy, segment: &Segment<'_>, last_errors: &mut [f32], gradient: &mut [f32]) -> f64 {
        let Segment { target, output, lanes, first_frame } = *segment;
        assert_eq!((target.len(), gradient.len(), last_errors.len()), (output.len(), output.len(), lanes), "lengths");
        gradient.fill(0.0);
        let frames = output.len() / lanes;
        let error = |i: usize| target[i] - output[i];
        if first_frame > 0 {
            (0..lanes).for_each(|lane| last_errors[lane] = error((first_frame - 1) * lanes + lane));
        }
        let mut sums = vec![0.0f32; lanes];
        let mut total = 0.0f64;
        let (emphasised_scale, plain_scale) = (1.0 / energy.emphasised, self.plain / energy.plain);
        for t in first_frame..frames {
            let mut sum = 0.0f32;
            for lane in 0..lanes {
                let i = t * lanes + lane;
                let e = error(i);
                let emphasised = e - self.emphasis * last_errors[lane];
                last_errors[lane] = e;
                sums[lane] += e;
                sum += emphasised * emphasised * emphasised_scale + e * e * plain_scale;
                let slope = -2.0 * emphasised * emphasised_scale;
                gradient[i] += slope - 2.0 * e * plain_scale;
                if t > 0 {
                    gradient[i - lanes] -= self.emphasis * slope;
                }
            }
            total += f64::from(sum);
        }
        let count = (frames - first_frame) as f32;
        let dc_scale = self.dc * count / energy.plain;
        for (lane, sum) in sums.into_iter().enumerate() {
            let mean = sum / count;
            total += f64::from(dc_scale * mean * mean);
            let slope = -2.0 * dc_scale * mean / count;
            (first_frame..frames).for_each(|t| gradient[t * lanes + lane] += slope);
        }
        total
    }
}

//! What training makes small: error to signal with pre-emphasis, the plain one, and a constant offset.

/// The parts of a loss and the weights of all but the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// Coefficient c of the pre-emphasis e(t) - c e(t - 1), whose energy is the first part (Wright et al., DAFx-19, with 0.95; NAM
    /// and GuitarML 0.85).
    pub emphasis: f32,
    /// Of the error's energy without pre-emphasis, which hides slow errors.
    pub plain: f32,
    /// Of the squared mean of the error.
    pub dc: f32,
}

impl Default for Loss {
    fn default() -> Self {
        Self { emphasis: 0.85, plain: 1.0, dc: 0.1 }
    }
}

/// Energies of the target of one batch, which the parts are divided by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Energy {
    emphasised: f32,
    plain: f32,
}

/// Sequences side by side: `[frames][lanes]`. Judged from the frame `from` on.
#[derive(Clone, Copy)]
pub struct Stretch<'a> {
    pub target: &'a [f32],
    pub output: &'a [f32],
    pub lanes: usize,
    pub from: usize,
}

/// Energy for each sample that a target has at least: a batch of silence shall not count for much.
const LEAST: f32 = 1e-8;

impl Loss {
    /// The energies of a batch.
    #[must_use]
    pub fn energy<'a>(&self, targets: impl Iterator<Item = (&'a [f32], usize, usize)>) -> Energy {
        let (mut emphasised, mut plain, mut count) = (0.0f64, 0.0f64, 0usize);
        for (target, lanes, from) in targets {
            let start = from.max(1) * lanes;
            count += target.len() - start;
            let (mut e, mut p) = (0.0f32, 0.0f32);
            for (now, before) in target[start..].iter().zip(&target[start - lanes..]) {
                let bent = now - self.emphasis * before;
                e += bent * bent;
                p += now * now;
            }
            emphasised += f64::from(e);
            plain += f64::from(p);
        }
        let least = LEAST * count as f32;
        Energy { emphasised: emphasised as f32 + least, plain: plain as f32 + least }
    }

    /// The loss of some sequences of a batch, and its derivatives for their outputs. `before`: of each lane the error before the first
    /// frame, then that of the last; only read if `from` is 0.
    ///
    /// # Panics
    /// If lengths disagree.
    pub fn gradient(&self, energy: &Energy, stretch: &Stretch<'_>, before: &mut [f32], gradient: &mut [f32]) -> f64 {
        let Stretch { target, output, lanes, from } = *stretch;
        assert_eq!((target.len(), gradient.len(), before.len()), (output.len(), output.len(), lanes), "lengths");
        gradient.fill(0.0);
        let frames = output.len() / lanes;
        let error = |i: usize| target[i] - output[i];
        if from > 0 {
            (0..lanes).for_each(|lane| before[lane] = error((from - 1) * lanes + lane));
        }
        let mut sums = vec![0.0f32; lanes];
        let mut total = 0.0f64;
        let (by_emphasised, by_plain) = (1.0 / energy.emphasised, self.plain / energy.plain);
        for t in from..frames {
            let mut sum = 0.0f32;
            for lane in 0..lanes {
                let i = t * lanes + lane;
                let e = error(i);
                let bent = e - self.emphasis * before[lane];
                before[lane] = e;
                sums[lane] += e;
                sum += bent * bent * by_emphasised + e * e * by_plain;
                let slope = -2.0 * bent * by_emphasised;
                gradient[i] += slope - 2.0 * e * by_plain;
                if t > 0 {
                    gradient[i - lanes] -= self.emphasis * slope;
                }
            }
            total += f64::from(sum);
        }
        let count = (frames - from) as f32;
        let by_dc = self.dc * count / energy.plain;
        for (lane, sum) in sums.into_iter().enumerate() {
            let mean = sum / count;
            total += f64::from(by_dc * mean * mean);
            let slope = -2.0 * by_dc * mean / count;
            (from..frames).for_each(|t| gradient[t * lanes + lane] += slope);
        }
        total
    }
}

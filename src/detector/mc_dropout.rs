//! Monte Carlo dropout through the head.

mod passes;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use self::passes::Passes;
use super::head::{LinearHead, head_of};
use super::logits::{entropy, entropy_term, narrow};
use super::{Detector, DetectorKind, Explanation, Fit, FitError, FitInput, MAX_PARTS, Part, Place, Summary};
use crate::activation::{FeatureLayout, Features};
use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// T, the number of passes.
const PASSES: usize = 32;

/// Bits of a word of a mask.
const WORD_BITS: usize = u64::BITS as usize;

/// Seed of the masks.
const SEED: u64 = 0;

/// Score: entropy of the mean softmax of T = 32 passes through the head with dropout, `H(1/T Σ_t p_t)` with
/// `p_t = softmax(W (m_t ∘ z) / (1 − r) + b)`, in nats from 0 (certain) to ln K.
///
/// The penultimate activations z are dropped with the rate r of training; the rest of the network runs once, so it costs
/// no further forward pass. Gal and Ghahramani, *Dropout as a Bayesian Approximation*, ICML 2016; Gal, *Uncertainty in
/// Deep Learning*, 2016, §3.3. The masks m_t are drawn when fitting and are the same for every image, so that scores can
/// be repeated.
#[derive(Debug, Clone, PartialEq)]
pub struct McDropout {
    penultimate: usize,
    head: LinearHead,
    /// r, above 0 and below 1.
    rate: f32,
    /// `T×⌈D/64⌉`: bit `j % 64` of word `j / 64` of a row tells whether the pass keeps neuron j.
    masks: Slab<u64>,
    passes: Passes,
}

/// How uncertain the passes are, in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Uncertainty {
    /// Entropy of the mean of the passes, from 0 to ln K: all uncertainty.
    pub entropy: f32,
    /// Mutual information of class and dropped neurons, from 0 to the entropy: how much the passes disagree.
    pub mutual_information: f32,
}

impl McDropout {
    /// Predictive entropy, and mutual information: the entropy of the mean less the mean of the entropies (Houlsby et al.,
    /// *Bayesian Active Learning for Classification and Preference Learning*, 2011; Smith and Gal, UAI 2018).
    /// The same conditions as for [`Detector::score`].
    #[must_use]
    pub fn uncertainty(&self, features: &Features) -> Uncertainty {
        Uncertainty::of(&self.softmax(features), features.logits.len())
    }

    /// `T×K`, the softmax of every pass.
    fn softmax(&self, features: &Features) -> Vec<f64> {
        let scale = 1.0 / (1.0 - f64::from(self.rate));
        let z: Vec<f64> = features.layers[self.penultimate].mean.iter().map(|&z| f64::from(z) * scale).collect();
        self.passes.softmax(&z)
    }

    fn new(penultimate: usize, head: LinearHead, rate: f32, masks: Slab<u64>) -> Self {
        let words = masks.len() / PASSES;
        let keeps = |pass, neuron| masks[pass * words + neuron / WORD_BITS] >> (neuron % WORD_BITS) & 1 == 1;
        Self { penultimate, passes: Passes::new(&head, keeps), head, rate, masks }
    }
}

impl Uncertainty {
    /// Of `T×K` softmax probabilities.
    fn of(passes: &[f64], classes: usize) -> Self {
        let total = entropy(&mean(passes, classes));
        let within = passes.chunks_exact(classes).map(entropy).sum::<f64>() / PASSES as f64;
        // Rounding may take the difference out of its range.
        Self { entropy: narrow(total), mutual_information: narrow((total - within).clamp(0.0, total)) }
    }
}

/// Indices of the bits that are 1, rising.
fn kept(mask: &[u64]) -> impl Iterator<Item = usize> {
    mask.iter().enumerate().flat_map(|(index, &word)| {
        let mut rest = word;
        std::iter::from_fn(move || {
            let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
            rest &= rest - 1;
            Some(index * WORD_BITS + bit)
        })
    })
}

/// Words of a mask.
fn words(neurons: usize) -> usize {
    neurons.div_ceil(WORD_BITS)
}

/// Masks of all passes; every neuron is kept with probability `1 − rate`.
fn draw(neurons: usize, rate: f32) -> Vec<u64> {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut masks = vec![0; PASSES * words(neurons)];
    for mask in masks.chunks_exact_mut(words(neurons)) {
        for neuron in (0..neurons).filter(|_| random.random::<f32>() >= rate) {
            mask[neuron / WORD_BITS] |= 1 << (neuron % WORD_BITS);
        }
    }
    masks
}

/// `K`, the mean of all passes.
fn mean(passes: &[f64], classes: usize) -> Vec<f64> {
    let mut mean = vec![0.0; classes];
    for pass in passes.chunks_exact(classes) {
        mean.iter_mut().zip(pass).for_each(|(mean, probability)| *mean += probability / PASSES as f64);
    }
    mean
}

fn is_rate(rate: f32) -> bool {
    rate > 0.0 && rate < 1.0
}

impl Detector for McDropout {
    fn kind(&self) -> DetectorKind {
        DetectorKind::McDropout
    }

    fn score(&self, features: &Features) -> f32 {
        narrow(entropy(&mean(&self.softmax(features), features.logits.len())))
    }

    /// The classes with the largest `−p ln p` of the mean p of the passes, which add up to the score; values are p,
    /// expected is 1 for the predicted class and 0 for the others. Beside them the penultimate layer with the mutual
    /// information as value and contribution: the share of the score that comes from passes that disagree.
    fn explain(&self, features: &Features) -> Explanation {
        let (predicted, count) = (features.predicted_class(), features.logits.len());
        let passes = self.softmax(features);
        let classes = mean(&passes, count).into_iter().enumerate().map(|(class, probability)| Part {
            place: Place::Class(class),
            contribution: narrow(entropy_term(probability)),
            value: narrow(probability),
            expected: if class == predicted { 1.0 } else { 0.0 },
        });
        let information = Uncertainty::of(&passes, count).mutual_information;
        let layer = Part {
            place: Place::Layer(self.penultimate),
            contribution: information,
            value: information,
            expected: 0.0,
        };
        let classes = Explanation::of(classes).parts.into_iter().take(MAX_PARTS - 1);
        Explanation::of(classes.chain([layer]))
    }

    fn save(&self, out: &mut TensorWriter<'_>) {
        self.head.save(out);
        out.put("rate", &[1], &[self.rate]);
        out.put("masks", &[PASSES, self.masks.len() / PASSES], &self.masks);
    }

    fn summary(&self) -> Summary {
        Summary::from([("passes".to_owned(), json!(PASSES)), ("rate".to_owned(), json!(self.rate))])
    }
}

impl Fit for McDropout {
    fn fit(input: &FitInput<'_>) -> Result<Self, FitError> {
        let head = head_of(input).filter(|head| is_rate(head.dropout));
        let head =
            head.ok_or(FitError::Unsupported { detector: DetectorKind::McDropout, missing: "a head with dropout" })?;
        let masks = draw(head.weight.ncols(), head.dropout).into();
        Ok(Self::new(input.bank.layout().penultimate, LinearHead::new(head), head.dropout, masks))
    }

    fn load(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<Self, StorageError> {
        let neurons = layout.layers[layout.penultimate].channels;
        let rate = tensors.get::<f32, 1>("rate", [1])?[0];
        if !is_rate(rate) {
            return Err(tensors.invalid("rate", format!("{rate} is not between 0 and 1")));
        }
        let head = LinearHead::load(tensors, layout)?;
        let masks = tensors.get::<u64, 2>("masks", [PASSES, words(neurons)])?;
        if masks.chunks_exact(words(neurons)).any(|mask| kept(mask).any(|neuron| neuron >= neurons)) {
            return Err(tensors.invalid("masks", format!("one keeps more than the {neurons} neurons")));
        }
        Ok(Self::new(layout.penultimate, head, rate, masks))
    }
}

#[cfg(test)]
mod tests {
    use approx::{assert_abs_diff_eq, assert_relative_eq};
    use ndarray::{Array1, arr1, array};
    use proptest::prelude::*;

    use super::*;
    use crate::activation::Head;
    use crate::detector::logits::{softmax, widen};
    use crate::detector::testing::{
        assert_finite_on_extremes, assert_survives_a_file, bank, linear_bank, saved, vector_image,
    };

    fn fitted(rate: f32) -> (McDropout, crate::activation::FeatureBank, Head) {
        let (bank, head) = linear_bank(4, 40, 6);
        let head = Head { dropout: rate, ..head };
        (McDropout::fit(&FitInput::new(&bank, Some(&head)).unwrap()).unwrap(), bank, head)
    }

    #[test]
    fn scores_by_hand() {
        let images = [(0, vector_image(&[1.0, 0.0], &[1.0]))];
        let head = Head { weight: array![[3f32.ln()], [0.0]], bias: arr1(&[0.0, 0.0]), dropout: 0.5 };
        let detector = McDropout::fit(&FitInput::new(&bank(&images), Some(&head)).unwrap()).unwrap();
        // A pass that keeps the neuron has p = (9, 1)/10, one that drops it ½.
        let keeps = detector.masks.iter().sum::<u64>() as f32 / PASSES as f32;
        assert!(keeps > 0.2 && keeps < 0.8, "{keeps}");
        let entropy = |p: f32| -p * p.ln() - (1.0 - p) * (1.0 - p).ln();
        let total = entropy(0.9 * keeps + 0.5 * (1.0 - keeps));
        let information = total - keeps * entropy(0.9) - (1.0 - keeps) * entropy(0.5);
        let found = detector.uncertainty(&images[0].1);
        assert_relative_eq!(found.entropy, total, max_relative = 1e-5);
        assert_relative_eq!(found.mutual_information, information, max_relative = 1e-4);
        assert_eq!(detector.score(&images[0].1), found.entropy);
        let parts = detector.explain(&images[0].1).parts;
        let places: Vec<Place> = parts.iter().map(|part| part.place).collect();
        assert_eq!(places, [Place::Class(1), Place::Class(0), Place::Layer(0)]);
        assert_relative_eq!(parts[0].value, 0.1 * keeps + 0.5 * (1.0 - keeps), max_relative = 1e-5);
        assert_eq!((parts[2].value, parts[0].expected, parts[1].expected), (found.mutual_information, 0.0, 1.0));
    }

    #[test]
    fn scores_agree_with_the_textbook() {
        let (detector, bank, head) = fitted(0.3);
        let (weight, bias) = (head.weight.mapv(f64::from), head.bias.mapv(f64::from));
        let entropy = |p: &Array1<f64>| -p.mapv(|p| p * p.ln()).sum();
        for row in 0..bank.len() {
            let (mut mean, mut within) = (Array1::<f64>::zeros(4), 0.0);
            for mask in detector.masks.iter() {
                let mut z = bank.penultimate().row(row).mapv(f64::from) / (1.0 - f64::from(0.3f32));
                z.indexed_iter_mut().for_each(|(neuron, z)| *z *= (mask >> neuron & 1) as f64);
                let exponentials = (weight.dot(&z) + &bias).mapv(f64::exp);
                let softmax = &exponentials / exponentials.sum();
                within += entropy(&softmax) / 32.0;
                mean += &(softmax / 32.0);
            }
            let found = detector.uncertainty(&bank.features(row));
            assert_relative_eq!(f64::from(found.entropy), entropy(&mean), max_relative = 1e-5);
            assert_abs_diff_eq!(f64::from(found.mutual_information), entropy(&mean) - within, epsilon = 1e-6);
            assert_eq!(detector.score(&bank.features(row)), found.entropy);
        }
        assert_survives_a_file(&detector, &bank);
        assert_finite_on_extremes(&detector, &bank);
    }

    #[test]
    fn masks_keep_the_right_share_and_never_change() {
        for (neurons, rate) in [(1000, 0.1), (1000, 0.5), (70, 0.8)] {
            let masks = draw(neurons, rate);
            let share = masks.chunks_exact(words(neurons)).flat_map(kept).count() as f32 / (PASSES * neurons) as f32;
            assert!((share - (1.0 - rate)).abs() < 0.04, "{share} of {neurons} for {rate}");
            assert_eq!(masks, draw(neurons, rate));
            assert_ne!(masks[..words(neurons)], masks[words(neurons)..2 * words(neurons)], "the passes differ");
        }
        assert_eq!(kept(&[0b1001, 0, 1 << 63]).collect::<Vec<_>>(), [0, 3, 191]);
    }

    #[test]
    fn hardly_any_dropout_gives_the_entropy_of_the_softmax() {
        let (detector, bank, _) = fitted(1e-7);
        assert!(detector.masks.iter().all(|mask| *mask == (1 << 10) - 1), "no neuron is dropped");
        for row in 0..bank.len() {
            let features = bank.features(row);
            let found = detector.uncertainty(&features);
            assert_relative_eq!(f64::from(found.entropy), entropy(&softmax(&widen(&features.logits))), epsilon = 1e-5);
            assert_abs_diff_eq!(found.mutual_information, 0.0, epsilon = 1e-6);
        }
    }

    proptest! {
        #[test]
        fn mutual_information_is_a_part_of_the_entropy(z in prop::collection::vec(-20f32..20.0, 10)) {
            let (detector, bank, _) = fitted(0.4);
            let mut features = bank.features(0);
            features.layers[1].mean = z.into();
            let found = detector.uncertainty(&features);
            prop_assert!(found.mutual_information >= 0.0 && found.mutual_information <= found.entropy, "{found:?}");
            prop_assert!(found.entropy <= 4f32.ln() + 1e-6);
        }
    }

    #[test]
    fn models_without_dropout_are_refused() {
        let (bank, head) = linear_bank(3, 10, 6);
        let refused = |head: Option<&Head>| McDropout::fit(&FitInput::new(&bank, head).unwrap()).unwrap_err();
        assert_eq!(refused(None).to_string(), "mc_dropout needs a head with dropout, which this model does not have");
        for dropout in [0.0, 1.0, f32::NAN] {
            refused(Some(&Head { dropout, ..head.clone() }));
        }
    }

    #[test]
    fn impossible_files_are_refused() {
        let (detector, bank, _) = fitted(0.5);
        let mut masks = detector.masks.to_vec();
        masks[3] |= 1 << 10;
        let broken = [
            (McDropout { masks: masks.into(), ..detector.clone() }, "10 neurons"),
            (McDropout { rate: 1.0, ..detector }, "1 is not between 0 and 1"),
        ];
        for (detector, reason) in broken {
            let file = saved(&detector);
            let error = McDropout::load(&file.tensors().scope("detector"), bank.layout()).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}

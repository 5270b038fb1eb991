//! The training loop: stochastic gradient descent with one warm-up and one cosine decay.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tch::nn::{self, OptimizerConfig};
use tch::{Kind, TchError, Tensor};

use super::{Augmentation, DecoyTarget, Decoys, ImageSet, ResidualNetwork};

/// How to train.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Number of steps (batches).
    pub steps: usize,
    /// Images per step.
    pub batch_size: usize,
    /// Learning rate at its peak.
    pub learning_rate: f64,
    /// L2 penalty.
    pub weight_decay: f64,
    /// Share of the target probability that is spread over all classes, 0..1.
    pub label_smoothing: f64,
    /// Seed of the order and variation of the images. The initial weights follow `tch::manual_seed`.
    pub seed: u64,
    /// Precision of the convolutions while training.
    pub precision: Kind,
    /// Random variation of the images.
    pub augmentation: Augmentation,
    /// Images of none of the classes; `None` for none.
    pub decoys: Option<Decoys>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            steps: 4_000,
            batch_size: 128,
            learning_rate: 0.1,
            weight_decay: 5e-4,
            label_smoothing: 0.0,
            seed: 0,
            precision: Kind::BFloat16,
            augmentation: Augmentation::default(),
            decoys: None,
        }
    }
}

/// State of the training after a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps done, from 1.
    pub step: usize,
    /// Mean loss of this step.
    pub loss: f64,
}

const WARM_UP_SHARE: f64 = 0.1;
const MOMENTUM: f64 = 0.9;

/// Trains `network`, whose parameters live in `store`, and calls `observe` after every step; training ends early when
/// it returns `false`.
///
/// # Errors
/// When libtorch fails.
pub fn train(
    network: &ResidualNetwork,
    store: &nn::VarStore,
    images: &ImageSet,
    recipe: &Recipe,
    mut observe: impl FnMut(Progress) -> bool,
) -> Result<(), TchError> {
    let config = nn::Sgd { momentum: MOMENTUM, dampening: 0.0, wd: recipe.weight_decay, nesterov: true };
    let mut optimizer = config.build(store, recipe.learning_rate)?;
    let mut order = Order::new(images.len(), recipe.seed);
    let mut random = ChaCha8Rng::seed_from_u64(!recipe.seed);
    for step in 0..recipe.steps {
        optimizer.set_lr(learning_rate(recipe, step));
        let (batch, labels) = images.batch(&order.next(recipe.batch_size));
        let batch = recipe.augmentation.apply(&batch);
        let loss = loss(network, &batch, &labels, recipe, &mut random);
        optimizer.backward_step(&loss);
        if !observe(Progress { step: step + 1, loss: loss.double_value(&[]) }) {
            break;
        }
    }
    Ok(())
}

/// Loss of a batch with its decoys, summed over the members of the ensemble: each of them is trained by itself.
fn loss(
    network: &ResidualNetwork,
    batch: &Tensor,
    labels: &Tensor,
    recipe: &Recipe,
    random: &mut ChaCha8Rng,
) -> Tensor {
    let decoys = recipe.decoys.as_ref().map(|decoys| decoys.make(batch, labels, random));
    let images = decoys.as_ref().map_or_else(|| batch.shallow_clone(), |decoys| Tensor::cat(&[batch, decoys], 0));
    let logits = network.forward(&images, recipe.precision, true);
    logits.iter().map(|logits| member_loss(logits, labels, recipe)).sum()
}

/// Cross-entropy with the labels; the rows beyond them are decoys.
fn member_loss(logits: &Tensor, labels: &Tensor, recipe: &Recipe) -> Tensor {
    const IGNORED_LABEL: i64 = -100;
    let images = labels.size()[0];
    let known = logits.narrow(0, 0, images);
    let loss =
        known.cross_entropy_loss::<Tensor>(labels, None, tch::Reduction::Mean, IGNORED_LABEL, recipe.label_smoothing);
    let Some(decoys) = &recipe.decoys else { return loss };
    let unknown = logits.narrow(0, images, logits.size()[0] - images).log_softmax(1, Kind::Float);
    let target = match decoys.target {
        DecoyTarget::Undecided => unknown,
        DecoyTarget::Class(class) => unknown.select(1, class as i64),
    };
    loss - decoys.weight * target.mean(Kind::Float)
}

/// Share of the images that `network` classifies correctly, 0..1.
#[must_use]
pub fn accuracy(network: &ResidualNetwork, images: &ImageSet) -> f64 {
    const BATCH: usize = 256;
    let indices: Vec<usize> = (0..images.len()).collect();
    let correct: f64 = tch::no_grad(|| {
        indices
            .chunks(BATCH)
            .map(|chunk| {
                let (batch, labels) = images.batch(chunk);
                let logits: Tensor = network.forward(&batch, Kind::Float, false).into_iter().sum();
                let predicted = logits.argmax(1, false);
                predicted.eq_tensor(&labels).sum(Kind::Double).double_value(&[])
            })
            .sum()
    });
    correct / images.len().max(1) as f64
}

fn learning_rate(recipe: &Recipe, step: usize) -> f64 {
    let done = step as f64 / recipe.steps as f64;
    if done < WARM_UP_SHARE {
        return recipe.learning_rate * (done / WARM_UP_SHARE).max(0.01);
    }
    let decayed = (done - WARM_UP_SHARE) / (1.0 - WARM_UP_SHARE);
    recipe.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * decayed).cos())
}

/// Endless sequence of image indices, shuffled anew in every pass.
struct Order {
    indices: Vec<usize>,
    position: usize,
    generator: ChaCha8Rng,
}

impl Order {
    fn new(length: usize, seed: u64) -> Self {
        let indices: Vec<usize> = (0..length).collect();
        Self { position: length, indices, generator: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn next(&mut self, count: usize) -> Vec<usize> {
        (0..count)
            .map(|_| {
                if self.position == self.indices.len() {
                    self.indices.shuffle(&mut self.generator);
                    self.position = 0;
                }
                self.position += 1;
                self.indices[self.position - 1]
            })
            .collect()
    }
}

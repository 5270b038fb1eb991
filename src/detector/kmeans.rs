//! Clusters of rows.

use ndarray::{Array1, ArrayView1, ArrayView2, Axis};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Most rounds of moving the centres; small banks settle after about ten.
const MAX_ROUNDS: usize = 100;

/// The cluster of each of the `N` rows, below `clusters`. Some clusters may stay empty, for example when there are fewer
/// different rows.
///
/// Lloyd, *Least Squares Quantization in PCM*, IEEE Trans. Information Theory 28, 1982, from the starting centres of Arthur
/// and Vassilvitskii, *k-means++: The Advantages of Careful Seeding*, SODA 2007, §2.2. Panics without rows.
pub fn kmeans(rows: ArrayView2<'_, f64>, clusters: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
    let mut centres = starting_centres(rows, clusters, random);
    let mut found = assign(rows, &centres);
    for _ in 0..MAX_ROUNDS {
        move_centres(rows, &found, &mut centres);
        let next = assign(rows, &centres);
        if next == found {
            break;
        }
        found = next;
    }
    found
}

/// The first at random, each further one with a probability proportional to its squared distance from those before.
fn starting_centres(rows: ArrayView2<'_, f64>, clusters: usize, random: &mut ChaCha8Rng) -> Vec<Array1<f64>> {
    let mut centres = vec![rows.row(random.random_range(0..rows.nrows())).to_owned()];
    while centres.len() < clusters {
        let distances: Vec<f64> = rows.rows().into_iter().map(|row| nearest(row, &centres).1).collect();
        let mut rest = random.random::<f64>() * distances.iter().sum::<f64>();
        let chosen = distances.iter().position(|distance| {
            rest -= distance;
            rest < 0.0
        });
        // Nothing is chosen when all rows are centres already.
        let Some(chosen) = chosen else { break };
        centres.push(rows.row(chosen).to_owned());
    }
    centres
}

/// The nearest centre, the first of equals, and the squared distance to it.
fn nearest(row: ArrayView1<'_, f64>, centres: &[Array1<f64>]) -> (usize, f64) {
    let squared = |centre: &Array1<f64>| row.iter().zip(centre).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
    let distances = centres.iter().map(squared).enumerate();
    distances.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, f64::INFINITY))
}

fn assign(rows: ArrayView2<'_, f64>, centres: &[Array1<f64>]) -> Vec<usize> {
    rows.rows().into_iter().map(|row| nearest(row, centres).0).collect()
}

/// Every centre becomes the mean of its rows; one without rows stays.
fn move_centres(rows: ArrayView2<'_, f64>, found: &[usize], centres: &mut [Array1<f64>]) {
    for (cluster, centre) in centres.iter_mut().enumerate() {
        let members: Vec<usize> = (0..found.len()).filter(|&row| found[row] == cluster).collect();
        if let Some(mean) = rows.select(Axis(0), &members).mean_axis(Axis(0)) {
            *centre = mean;
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    fn seeded(rows: &Array2<f64>, clusters: usize, seed: u64) -> Vec<usize> {
        kmeans(rows.view(), clusters, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    #[test]
    fn distant_groups_are_told_apart_whatever_the_seed() {
        let rows = array![[0.0, 0.0], [90.0, 0.0], [0.1, 0.0], [0.0, 90.0], [90.1, 0.0], [0.0, 90.1], [0.0, 0.2]];
        for seed in 0..50 {
            let found = seeded(&rows, 3, seed);
            assert_eq!([found[2], found[6], found[4], found[5]], [found[0], found[0], found[1], found[3]]);
            assert!(found[0] != found[1] && found[0] != found[3] && found[1] != found[3], "{found:?}");
        }
    }

    #[test]
    fn equal_rows_are_one_cluster() {
        assert_eq!(seeded(&array![[2.0], [2.0], [2.0]], 3, 1), [0, 0, 0]);
        assert_eq!(seeded(&array![[2.0], [5.0]], 1, 1), [0, 0]);
    }

    proptest! {
        #[test]
        fn every_row_is_nearest_to_the_mean_of_its_cluster(
            values in prop::collection::vec(-9f64..9.0, 60), clusters in 1usize..5, seed in 0u64..100,
        ) {
            let rows = Array2::from_shape_vec((20, 3), values).unwrap();
            let found = seeded(&rows, clusters, seed);
            prop_assert_eq!(&found, &seeded(&rows, clusters, seed));
            prop_assert!(found.iter().all(|&cluster| cluster < clusters));
            let members = |cluster: usize| (0..20).filter(|&row| found[row] == cluster).collect::<Vec<_>>();
            let mean = |cluster: usize| rows.select(Axis(0), &members(cluster)).mean_axis(Axis(0));
            let means: Vec<Option<Array1<f64>>> = (0..clusters).map(mean).collect();
            for (row, &cluster) in rows.rows().into_iter().zip(&found) {
                let distance = |mean: &Array1<f64>| (&row - mean).mapv(|difference| difference * difference).sum();
                let own = distance(means[cluster].as_ref().unwrap());
                prop_assert!(means.iter().flatten().all(|mean| own <= distance(mean) + 1e-9));
            }
        }
    }
}

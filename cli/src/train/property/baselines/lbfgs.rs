//! Minimising a smooth convex function: limited-memory BFGS (Nocedal and Wright, algorithm 7.5) with backtracking.

use std::collections::VecDeque;

/// Steps that the curvature is remembered over.
const MEMORY: usize = 10;
/// Armijo's constant: how much of the promised decrease a step must bring.
const SUFFICIENT: f64 = 1e-4;

/// When to stop.
pub(super) struct Stop {
    /// Largest component of the gradient that is taken for zero.
    pub(super) gradient: f64,
    /// Most iterations.
    pub(super) iterations: usize,
}

/// The point near `x` where the function is least; `f` fills in the gradient and gives the value.
pub(super) fn minimise(
    mut x: Vec<f64>,
    f: impl Fn(&[f64], &mut [f64]) -> f64,
    stop: &Stop,
) -> Vec<f64> {
    let mut gradient = vec![0.0; x.len()];
    let mut value = f(&x, &mut gradient);
    let mut history: VecDeque<Curvature> = VecDeque::new();
    for _ in 0..stop.iterations {
        if gradient.iter().all(|g| g.abs() <= stop.gradient) {
            break;
        }
        let direction = descent(&gradient, &history);
        let slope = dot(&direction, &gradient);
        let mut step =
            if history.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt() } else { 1.0 };
        let mut next_gradient = vec![0.0; x.len()];
        let (next, next_value) = loop {
            let next: Vec<f64> = x.iter().zip(&direction).map(|(x, d)| x + step * d).collect();
            let next_value = f(&next, &mut next_gradient);
            if next_value <= value + SUFFICIENT * step * slope {
                break (next, next_value);
            }
            step /= 2.0;
            if step < 1e-12 {
                return x;
            }
        };
        let moved: Vec<f64> = next.iter().zip(&x).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let product = dot(&moved, &change);
        if product > 1e-12 {
            history.push_back(Curvature { moved, change, product });
            if history.len() > MEMORY {
                history.pop_front();
            }
        }
        (x, value, gradient) = (next, next_value, next_gradient);
    }
    x
}

/// What one step said about the curvature.
struct Curvature {
    moved: Vec<f64>,
    change: Vec<f64>,
    product: f64,
}

/// The quasi-Newton direction, by two loops over the history.
fn descent(gradient: &[f64], history: &VecDeque<Curvature>) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut alphas = Vec::with_capacity(history.len());
    for step in history.iter().rev() {
        let alpha = dot(&step.moved, &q) / step.product;
        add(-alpha, &step.change, &mut q);
        alphas.push(alpha);
    }
    if let Some(last) = history.back() {
        let scale = last.product / dot(&last.change, &last.change);
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for (step, alpha) in history.iter().zip(alphas.into_iter().rev()) {
        let beta = dot(&step.change, &q) / step.product;
        add(alpha - beta, &step.moved, &mut q);
    }
    q
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(factor: f64, x: &[f64], to: &mut [f64]) {
    to.iter_mut().zip(x).for_each(|(to, x)| *to += factor * x);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretched_bowl_is_descended_to_its_bottom() {
        let bowl = |x: &[f64], gradient: &mut [f64]| {
            gradient[0] = 200.0 * (x[0] - 3.0);
            gradient[1] = 2.0 * (x[1] + 1.0);
            100.0 * (x[0] - 3.0).powi(2) + (x[1] + 1.0).powi(2)
        };
        let stop = Stop { gradient: 1e-9, iterations: 100 };
        let found = minimise(vec![0.0, 0.0], bowl, &stop);
        assert!((found[0] - 3.0).abs() < 1e-9 && (found[1] + 1.0).abs() < 1e-9, "{found:?}");
    }
}

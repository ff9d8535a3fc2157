//! Speed against recall, and the speed at a recall that no run hit exactly.

/// Points of recall and speed, in any order.
pub struct Curve {
    points: Vec<(f64, f64)>,
}

impl Curve {
    /// Recall and speed of each run.
    pub fn new(mut points: Vec<(f64, f64)>) -> Self {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self { points }
    }

    /// The speed at this recall, from the two runs around it: the logarithm of the speed is taken to be linear between
    /// them. Where all runs reached it, that of the fastest; `None` where none did.
    pub fn speed_at(&self, recall: f64) -> Option<f64> {
        let above = self.points.iter().position(|point| point.0 >= recall)?;
        let (high, high_speed) = self.points[above];
        let Some((low, low_speed)) = above.checked_sub(1).map(|below| self.points[below]) else {
            return self.points.iter().map(|point| point.1).reduce(f64::max);
        };
        let share = (recall - low) / (high - low);
        Some((low_speed.ln() + share * (high_speed.ln() - low_speed.ln())).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::Curve;

    #[test]
    fn speeds_between_runs_are_interpolated_in_their_logarithm() {
        let curve = Curve::new(vec![(0.98, 100.0), (0.90, 10_000.0)]);
        assert!((curve.speed_at(0.94).expect("between") - 1_000.0).abs() < 1e-6);
        assert_eq!(curve.speed_at(0.5), Some(10_000.0));
        assert_eq!(curve.speed_at(0.99), None);
        assert!((curve.speed_at(0.98).expect("a run") - 100.0).abs() < 1e-9);
    }
}

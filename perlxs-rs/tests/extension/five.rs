//! Five functions, as short as they can be said; 10-typed.t counts the tokens below the line.
// ----
use perlxs::*;

pub struct Counter {
    count: i64,
}

impl Drop for Counter {
    fn drop(&mut self) {
        println!("# dropped at {}", self.count);
    }
}

module! {
    Five "1.0";

    fn add(a: i64, b: i64) -> i64 {
        a + b
    }

    fn greet(name: &str = "world") -> String {
        format!("Hello, {name}!")
    }

    fn sum(numbers: Vec<f64>) -> f64 {
        numbers.iter().sum()
    }

    fn apply(code: Code, value: Scalar) -> Result<Scalar> {
        code.call(&[value])
    }

    class Counter {
        fn new(count: i64) -> Counter {
            Counter { count }
        }

        fn increment(&mut self) -> i64 {
            self.count += 1;
            self.count
        }
    }
}

//! Functions with typed parameters and results, one of each kind.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use perlxs::{
    Array, Call, Class, Code, Context, Error, Hash, List, Number, Perl, Rest, Result, Scalar, Value,
};

use crate::Counted;

/// What objects of these classes own.
pub struct Tally {
    sum: i64,
    _counted: Counted,
}

impl Tally {
    fn of(sum: i64) -> Tally {
        Tally {
            sum,
            _counted: Counted::new(),
        }
    }
}

/// Another class.
pub struct Plain;

/// An error of somebody else's.
#[derive(Debug)]
struct Odd(i64);

impl std::fmt::Display for Odd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is odd", self.0)
    }
}

impl std::error::Error for Odd {}

macro_rules! same {
    ($($name:ident: $type:ty),* $(,)?) => {
        perlxs::xsubs! {
            pub static SAME in PerlXS::Test::Typed;
            $(fn $name(value: $type) -> $type {
                value
            })*
        }
    };
}

// each returns what it takes
same! {
    i8: i8, i16: i16, i32: i32, i64: i64, isize: isize,
    u8: u8, u16: u16, u32: u32, u64: u64, usize: usize,
    f32: f32, f64: f64, bool: bool, char: char, string: String, bytes: Vec<u8>,
    path: PathBuf, maybe: Option<i64>, floats: Vec<f64>, holes: Vec<Option<i64>>,
    three: [i64; 3], map: HashMap<String, i64>, tree: BTreeMap<u16, Vec<String>>,
    scalar: Scalar, array: Array, hash: Hash, code: Code, pairs: Vec<(String, u8)>,
}

perlxs::xsubs! {
    pub static XSUBS in PerlXS::Test::Typed;

    fn nothing() {}

    fn add(a: i64, b: i64) -> i64 {
        a + b
    }

    fn greet(name: &str = "world", mark: char = '!') -> String {
        format!("Hello, {name}{mark}")
    }

    fn kept(text: &str, bytes: &[u8], code: Code) -> Result<(String, Vec<u8>)> {
        code.call(&[])?;
        Ok((text.into(), bytes.into()))
    }

    fn text_len(text: Option<&str>) -> Option<usize> {
        text.map(str::len)
    }

    fn bytes_len(bytes: &[u8], _times: Option<u8>) -> usize {
        bytes.len()
    }

    fn file_name(path: &Path) -> Option<String> {
        Some(path.file_name()?.to_str()?.to_string())
    }

    fn middle(first: Option<i64>, second: i64) -> i64 {
        first.unwrap_or(100) + second
    }

    fn rest(first: &str, numbers: Rest<u16>) -> String {
        format!("{first}{:?}", numbers.0)
    }

    fn kind(number: Number) -> &'static str {
        match number {
            Number::Float(_) => "float",
            _ => "integer",
        }
    }

    fn pair(pair: (String, i64)) -> (i64, String) {
        (pair.1, pair.0)
    }

    fn countdown(from: u32) -> List<impl Iterator<Item = u32>> {
        List((0..=from).rev())
    }

    fn context(context: Context, perl: Perl, call: &Call<'_>, one: &Scalar) -> String {
        let same = one.is_defined().is_ok() && perl.sv_count() > 0;
        format!("{context:?} {} {same}", call.len())
    }

    fn lot() -> Vec<(i64, Option<&'static str>)> {
        vec![(1, Some("one")), (2, None)]
    }

    fn even(n: i64) -> Result<i64, Odd> {
        let _counted = Counted::new();
        if n % 2 == 0 { Ok(n) } else { Err(Odd(n)) }
    }

    fn boxed(code: Code) -> Result<Scalar, Box<dyn std::error::Error>> {
        let _counted = Counted::new();
        Ok(code.call(&[])?)
    }

    fn read(path: PathBuf) -> Result<usize> {
        Ok(std::fs::read(path)?.len())
    }

    fn display(code: Code) -> String {
        code.call(&[]).map_or_else(|error| error.to_string(), |_| String::new())
    }

    fn panics(text: &str) {
        let _counted = Counted::new();
        panic!("{text}");
    }

    fn words :prototype("$;@") (call: "first, second = 2, ...") -> Value {
        Value::list(call.args().rev())
    }

    fn prototyped :prototype("$;$") (a: i64, _b: Option<i64>) -> i64 {
        a
    }

    fn tally(sum: i64) -> Tally {
        Tally::of(sum)
    }

    fn both(a: &mut Tally, b: &Tally) -> i64 {
        a.sum += b.sum;
        a.sum
    }

    fn any(tally: Option<&Tally>) -> Option<i64> {
        tally.map(|tally| tally.sum)
    }

    fn package() -> &'static str {
        Tally::PACKAGE
    }

    fn closure(perl: Perl, n: i64) -> Code {
        let counted = Counted::new();
        Code::from_fn(perl, move |call| -> Result<Value> {
            let _kept = &counted;
            match call.get(0) {
                None => Ok(n.into()),
                Some(sv) => match sv.code()? {
                    Some(code) => Ok(Value::list(code.call_list(&[])?)),
                    None => panic!("closure {}", sv.describe()),
                },
            }
        })
    }

    fn adder(perl: Perl, n: i64) -> Code {
        perlxs::closure!(perl, |a: i64, b: Option<i64>| Ok::<i64, Error>(n + a + b.unwrap_or(0)))
    }

    class Tally {
        fn new(sum: Option<i64>) -> Tally {
            Tally::of(sum.unwrap_or(0))
        }

        fn twins(sum: i64) -> (Tally, Tally) {
            (Tally::of(sum), Tally::of(sum))
        }

        fn fallible(sum: i64) -> Result<Option<Tally>, String> {
            match sum {
                0 => Ok(None),
                1.. => Ok(Some(Tally::of(sum))),
                _ => Err(format!("{sum} is too small")),
            }
        }

        fn add(&mut self, n: i64 = 1) -> i64 {
            self.sum += n;
            self.sum
        }

        fn sum(&self) -> i64 {
            self.sum
        }

        fn change(&mut self, code: Code) -> Result<i64> {
            self.sum += i64::try_from(code.call(&[])?.number()?.integer().unwrap_or(0))?;
            Ok(self.sum)
        }

        fn look(&self, code: Code) -> Result<Scalar> {
            code.call(&[])
        }

        fn burst(&mut self) {
            panic!("burst at {}", self.sum);
        }
    }

    class Plain as PerlXS::Test::Other {
        fn new() -> Plain {
            Plain
        }
    }
}

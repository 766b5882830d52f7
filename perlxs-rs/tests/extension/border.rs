//! What could be undefined: signals that come while Rust runs, values that are kept for too long.

use std::cell::RefCell;
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use perlxs::{Call, Error, Result, Scalar, Value};

use crate::{Counted, code};

/// `spin($seconds)`: Rust that does not look up for so long.
pub fn spin(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let tenths = call.arg(0).number()?.integer().unwrap_or(0) as u64;
    let end = Instant::now() + Duration::from_millis(100 * tenths);
    while Instant::now() < end {
        black_box(0);
    }
    Ok(().into())
}

/// `start($program, $argument)`: its process id.
pub fn start(call: &Call<'_>) -> Result<Value> {
    let program = call.arg(0).text()?.unwrap_or_default();
    let argument = call.arg(1).text()?.unwrap_or_default();
    let child = Command::new(program).arg(argument).spawn();
    Ok(child
        .map_err(|error| Error::croak(error.to_string()))?
        .id()
        .into())
}

/// `fault()`: a fault in Rust.
pub fn fault(_: &Call<'_>) -> Result<Value> {
    let page = black_box(std::ptr::null::<u8>());
    // SAFETY: it is not: the signal that comes of it is what is tested.
    Ok(u32::from(unsafe { page.read_volatile() }).into())
}

/// What a panic may be of.
struct PanicsAgain;

impl Drop for PanicsAgain {
    fn drop(&mut self) {
        panic!("again");
    }
}

/// `panic_twice()`: of a value whose drop panics.
pub fn panic_twice(_: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    std::panic::panic_any(PanicsAgain)
}

/// `threaded()`: a thread of Rust that is there for half a second.
pub fn threaded(_: &Call<'_>) -> Result<Value> {
    std::thread::spawn(|| std::thread::sleep(Duration::from_millis(500)));
    Ok(().into())
}

thread_local! {
    static KEPT: RefCell<Vec<Scalar>> = const { RefCell::new(Vec::new()) };
}

/// `keep(@values)`: in what lives as long as the thread of the system.
pub fn keep(call: &Call<'_>) -> Result<Value> {
    KEPT.with_borrow_mut(|kept| kept.extend(call.args().map(|arg| arg.clone())));
    Ok(().into())
}

/// `kept($how, $other)`: what becomes of the first that is kept: it is read, copied, called, put
/// into a new array, assigned to `$other`, dropped.
pub fn kept(call: &Call<'_>) -> Result<Value> {
    let _counted = Counted::new();
    let kept = KEPT.with_borrow(|kept| kept.first().cloned());
    let kept = kept.ok_or_else(|| Error::croak("nothing is kept"))?;
    match &*call.arg(0).text()?.unwrap_or_default() {
        "read" => Ok(kept.text()?.into()),
        "copy" => Ok(kept.copy()?.text()?.into()),
        "give" => Ok(kept.into()),
        "call" => Ok(code(call, 1)?.call(&[kept])?.into()),
        "collect" => Ok((&perlxs::Array::of(call.perl(), [kept])).into()),
        "assign" => {
            call.arg(1).set(&kept)?;
            Ok(().into())
        }
        "drop" => {
            drop(kept);
            KEPT.with_borrow_mut(Vec::clear);
            Ok(().into())
        }
        how => Err(Error::croak(format!("no way '{how}'"))),
    }
}

//! Starting a child of `spawn`: the parent's half.
//!
//! The options become a plan; the child takes its steps before its code or its program runs; and
//! what the system refuses becomes `$!` and `$Linux::Clone::error`.

mod caller;
mod channel;
mod interpreter;
pub(crate) mod killer;
mod launch;
mod options;
mod program;
mod refusal;
mod steps;

use libc::c_int;
use perlxs::Call;

pub(crate) use launch::Child;
pub(crate) use refusal::Error;

use options::{Request, Work};

/// Starts the child that the arguments, `%options`, describe, and returns when it is ready; `errno`
/// is the `$!` that its code starts with.
///
/// Returns `Err` if an option is wrong, if a step was refused, in the parent or in the child, or if
/// perl code that runs meanwhile throws; then there is no child.
pub(crate) fn spawn(call: &Call<'_>, errno: c_int) -> Result<Child, Error> {
    let Request { work, plan, steps } = Request::from_options(call)?;
    match work {
        Work::Code(code) => launch::code(call, code, &plan, &steps, errno),
        Work::Exec(program) => launch::program(call, &program, &plan, &steps),
    }
}

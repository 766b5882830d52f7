//! Write XS modules for Perl in Rust.
//!
//! An extension is a `cdylib` that names its XSUBs in a [`Module`] and gives perl a boot
//! function with [`boot!`]:
//!
//! ```
//! use perlxs::{Call, Module, Result, Value, Xsub};
//!
//! fn greet(call: &Call<'_>) -> Result<Value> {
//!     let name = call.arg(0).text()?.unwrap_or_else(|| "world".into());
//!     Ok(format!("Hello, {name}!").into())
//! }
//!
//! static GREET: Xsub = Xsub::new(c"Greeting::greet", c"name", 1, Some(1), greet);
//!
//! fn module() -> Module {
//!     Module::new(c"Greeting", c"0.01", &[&GREET])
//! }
//!
//! perlxs::boot!(boot_Greeting, module);
//! ```
//! ```perl
//! XSLoader::load('Greeting', '0.01');
//! Greeting::greet('Larry');       # 'Hello, Larry!'
//! Greeting::greet(undef);         # 'Hello, world!'
//! Greeting::greet();              # dies: Usage: Greeting::greet(name) at
//! ```
//!
//! [`from_xs`] is for those who know XS: what becomes of typemaps, `PPCODE`, `croak`, `BOOT` and
//! `DESTROY`.
//!
//! In the examples below, the block of perl says what perl makes of the block of Rust. All are run
//! like that by this crate's tests.
//!
//! What holds at the border:
//!
//! - A perl exception (`die`, `exit`, `last` out of a callback) is a longjmp, and none crosses a
//!   Rust frame: whatever runs perl code returns a [`Result`].
//! - A Rust panic in an XSUB becomes a croak with the panic's text.
//! - An [`Error`] that an XSUB returns is thrown by C, after every Rust value is dropped.
//! - No perl struct is read by its layout: a C shim, compiled against the headers of the perl
//!   that will load it, does that.
//!
//! perl's "Out of memory" is the exception: it ends the process.

mod aggregate;
mod array;
mod bytes;
mod class;
mod closure;
mod code;
mod constant;
#[cfg(feature = "process")]
mod copy;
#[doc(hidden)]
pub mod declare;
mod error;
#[doc(hidden)]
pub mod ffi;
mod guard;
#[cfg(feature = "process")]
mod guest;
mod handle;
mod hash;
mod interp;
mod module;
mod object;
#[cfg(feature = "process")]
mod process;
mod queue;
mod reference;
mod scalar;
mod syscall;
mod taint;
mod typed;
mod xsub;

pub use array::{Array, Elements, Numbers};
pub use bytes::{Bytes, Text};
pub use class::Class;
pub use code::Code;
pub use constant::Constant;
#[cfg(feature = "process")]
pub use copy::MainEnd;
pub use error::{Error, Result};
#[cfg(feature = "process")]
pub use guest::Shared;
pub use hash::{AsKey, Entries, Hash, Key};
pub use interp::Perl;
pub use module::Module;
#[doc(hidden)]
pub use module::{boot_module, boot_name};
pub use object::Object;
#[cfg(feature = "process")]
pub use process::Start;
pub use queue::{Queue, Remote};
pub use reference::Kind;
pub use scalar::{Form, Number, Scalar};
pub use typed::{FromPerl, IntoPerl, List, Name, Rest};
pub use xsub::{Arg, Body, Call, Context, Value, Xsub};

#[cfg(doc)]
#[doc = include_str!("../doc/from-xs.md")]
pub mod from_xs {}

/// Defines the function that perl calls when it loads the extension.
///
/// Arguments: the function's name, `boot_` and the package with `::` as `__`
/// (`boot_Linux__Clone`); and a function that returns the [`Module`]. Another name does not
/// compile.
///
/// The boot function croaks, and defines nothing, if the extension was built for another perl, if
/// the version in the `.pm` file is not the module's (perlapi: `xs_handshake`), if the module is of
/// another package than the name says, and if the function panics, with the panic's text.
///
/// Example: [`Xsub`].
#[macro_export]
macro_rules! boot {
    ($name:ident, $module:expr) => {
        $crate::define_boot!(stringify!($name), $module);
    };
}

// Perls with MULTIPLICITY pass the interpreter first; the others have but one. There is no
// `#[allow(unsafe_code)]`, which a crate that forbids it would not take: rustc does not apply that
// lint to what another crate's macro writes.

#[cfg(perlxs_multiplicity)]
#[doc(hidden)]
#[macro_export]
macro_rules! define_boot {
    ($name:expr, $module:expr) => {
        const _: () = {
            const NAME: &::core::ffi::CStr = $crate::boot_name(concat!($name, "\0"));

            /// Called by perl's XSLoader.
            ///
            /// # Safety
            /// For perl alone.
            #[unsafe(export_name = $name)]
            pub unsafe extern "C" fn boot(
                perl: *mut ::core::ffi::c_void,
                cv: *mut $crate::ffi::Cv,
            ) {
                // SAFETY: perl calls this as an XSUB, with its interpreter and the CV.
                unsafe { $crate::boot_module(perl, cv, NAME, $module) }
            }
        };
    };
}

#[cfg(not(perlxs_multiplicity))]
#[doc(hidden)]
#[macro_export]
macro_rules! define_boot {
    ($name:expr, $module:expr) => {
        const _: () = {
            const NAME: &::core::ffi::CStr = $crate::boot_name(concat!($name, "\0"));

            /// Called by perl's XSLoader.
            ///
            /// # Safety
            /// For perl alone.
            #[unsafe(export_name = $name)]
            pub unsafe extern "C" fn boot(cv: *mut $crate::ffi::Cv) {
                // SAFETY: perl calls this as an XSUB, with the CV.
                unsafe { $crate::boot_module(::core::ptr::null_mut(), cv, NAME, $module) }
            }
        };
    };
}

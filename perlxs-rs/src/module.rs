//! What an extension defines.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_void};
use std::panic::catch_unwind;

use crate::guard::drop_panic;
use crate::{Constant, Perl, Xsub, ffi};

/// Everything that an extension defines.
///
/// Example: [`Xsub`].
pub struct Module {
    package: &'static CStr,
    version: &'static CStr,
    xsubs: Vec<&'static Xsub>,
    constants: Vec<Constant>,
}

impl Module {
    /// - `package`: the perl package, `Linux::Clone`.
    /// - `version`: the one that the `.pm` file must have, as in its `$VERSION`.
    /// - `xsubs`: what it defines.
    ///
    /// Example: [`Xsub`].
    pub fn new(package: &'static CStr, version: &'static CStr, xsubs: &[&'static Xsub]) -> Self {
        Module {
            package,
            version,
            xsubs: xsubs.to_vec(),
            constants: Vec::new(),
        }
    }

    /// With these XSUBs too.
    ///
    /// Example: [`xsubs!`](crate::xsubs).
    pub fn xsubs(mut self, xsubs: &[&'static Xsub]) -> Self {
        self.xsubs.extend(xsubs);
        self
    }

    /// With these constants too.
    ///
    /// Example: [`Constant`].
    pub fn constants(mut self, constants: impl IntoIterator<Item = Constant>) -> Self {
        self.constants.extend(constants);
        self
    }
}

/// What [`boot!`](crate::boot) calls.
///
/// # Safety
/// Only from a boot function, with what perl passed to it.
pub unsafe fn boot_module(perl: *mut c_void, cv: *mut ffi::Cv, module: fn() -> Module) {
    // SAFETY: perl's own interpreter, or null where there is only one.
    let interp = unsafe { ffi::perlxs_interp_of(perl) };
    if interp.is_null() {
        return;
    }
    let perl = Perl::from_raw(interp);
    // Nobody is here to hear of a panic: the module stays undefined, and the caller finds out.
    let outcome = catch_unwind(|| {
        let module = module();
        let constants: Vec<_> = module.constants.iter().map(|c| c.raw(perl)).collect();
        (module, constants)
    });
    let (module, mut constants) = match outcome {
        Ok(made) => made,
        Err(panic) => return drop_panic(panic),
    };
    let xsubs: Vec<*const ffi::Xsub> = module.xsubs.iter().map(|x| &raw const x.raw).collect();
    let raw = ffi::Module {
        package: module.package.as_ptr(),
        version: module.version.as_ptr(),
        xsubs: xsubs.as_ptr(),
        nxsubs: xsubs.len(),
        constants: constants.as_mut_ptr(),
        nconstants: constants.len(),
    };
    // SAFETY: perl's own interpreter and CV; the tables live until the call returns, and what
    // perl keeps pointers to is 'static.
    unsafe { ffi::perlxs_boot(interp, cv, &raw) }
}

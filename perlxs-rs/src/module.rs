//! What an extension defines.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_void};
use std::panic::catch_unwind;
use std::ptr;

use crate::guard::panic_text;
use crate::{Constant, Perl, Scalar, Xsub, ffi};

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

/// The name of a boot function, `boot_` and a package.
///
/// # Panics
/// When it is compiled: if it is no such name.
pub const fn boot_name(name: &'static str) -> &'static CStr {
    let is_boot_name =
        matches!(name.as_bytes(), [b'b', b'o', b'o', b't', b'_', first, ..] if *first != 0);
    assert!(
        is_boot_name,
        "boot! takes the name of a boot function: boot_ and the package with __ for ::"
    );
    match CStr::from_bytes_with_nul(name.as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("boot! takes a name without NUL"),
    }
}

/// The module that the function of [`boot!`](crate::boot) returns, with its constants; or the text
/// of what is wrong.
fn made(
    perl: Perl,
    name: &CStr,
    module: fn() -> Module,
) -> Result<(Module, Vec<ffi::Constant>), String> {
    let outcome = catch_unwind(|| {
        let module = module();
        let constants = module.constants.iter().map(|c| c.raw(perl)).collect();
        (module, constants)
    });
    let (module, constants) = outcome.map_err(panic_text)?;
    let package = module.package.to_string_lossy();
    let wanted = format!("boot_{}", package.replace("::", "__"));
    let name = name.to_string_lossy();
    if name != wanted {
        return Err(format!(
            "{name} defines package {package}, which wants {wanted}"
        ));
    }
    Ok((module, constants))
}

/// What [`boot!`](crate::boot) calls.
///
/// # Safety
/// Only from a boot function, with what perl passed to it.
pub unsafe fn boot_module(
    perl: *mut c_void,
    cv: *mut ffi::Cv,
    name: &'static CStr,
    module: fn() -> Module,
) {
    // SAFETY: perl's own interpreter, or null where there is only one.
    let interp = unsafe { ffi::perlxs_interp_of(perl, name.as_ptr()) };
    // it is of another perl, which throws that once this has returned
    if interp.is_null() {
        return;
    }
    let perl = Perl::from_raw(interp);
    let (module, mut constants, error) = match made(perl, name, module) {
        Ok((module, constants)) => (module, constants, ptr::null_mut()),
        Err(text) => {
            let error = Scalar::new(perl, text).into_raw();
            (Module::new(c"", c"", &[]), Vec::new(), error)
        }
    };
    let xsubs: Vec<*const ffi::Xsub> = module.xsubs.iter().map(|x| &raw const x.raw).collect();
    let raw = ffi::Module {
        package: module.package.as_ptr(),
        version: module.version.as_ptr(),
        xsubs: xsubs.as_ptr(),
        nxsubs: xsubs.len(),
        constants: constants.as_mut_ptr(),
        nconstants: constants.len(),
        error,
    };
    // SAFETY: perl's own interpreter and CV; the tables live until the call returns, and what
    // perl keeps pointers to is 'static.
    unsafe { ffi::perlxs_boot(interp, cv, &raw) }
}

//! Handles.

#![allow(unsafe_code)]

use std::ffi::c_int;

use crate::guard::contained;
use crate::{Result, Scalar, ffi};

impl Scalar {
    /// The descriptor of a handle: a glob, a reference to one, an IO object, an object that
    /// overloads `*{}`, or the name of a handle, looked up in the caller's package if it names
    /// none (perlfunc: `fileno`). Directory handles count on all perls.
    ///
    /// `None` is what is no handle, numbers among that. -1 is a handle without a descriptor: a
    /// closed one, one in memory. A tied handle is asked by its method FILENO.
    ///
    /// Returns `Err` if that method, a tie, an overload method or a layer dies or exits.
    ///
    /// ```
    /// # use perlxs::*;
    /// fn descriptor(call: &Call<'_>) -> Result<Value> {
    ///     match call.arg(0).fileno()? {
    ///         None => Err(Error::croak("descriptor needs a handle")),
    ///         Some(-1) => Ok(Value::Undef), // a handle without a file
    ///         Some(fd) => Ok(fd.into()),
    ///     }
    /// }
    /// ```
    /// ```perl
    /// descriptor(\*STDERR);           # 2
    /// descriptor('STDERR');           # 2
    /// open my $memory, '<', \'text' or die $!;
    /// descriptor($memory);            # undef
    /// descriptor(2);                  # dies: descriptor needs a handle
    /// ```
    pub fn fileno(&self) -> Result<Option<c_int>> {
        let (mut is_handle, mut fd) = (0, -1);
        contained(self.perl(), |error| {
            let perl = self.perl().raw();
            // SAFETY: a live scalar of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_sv_fileno(perl, self.raw(), &mut is_handle, &mut fd, error) }
        })?;
        Ok((is_handle != 0).then_some(fd))
    }
}

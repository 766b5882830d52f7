//! Network interfaces (netdevice(7)).

use perlxs::{Call, Result, Value};

use super::{answer, untainted};
use crate::error::Error;
use crate::read::optional;
use crate::sys::{self, InterfaceName};

perlxs::xsubs! {
    pub(super) static XSUBS in Linux::Clone;

    /// `$retval = siocsifflags $ifname[, $flags]`: 0, or -1 with `$!` (netdevice(7)). Without
    /// flags: up, and otherwise as they are. What is no interface is the kernel's to refuse.
    fn siocsifflags :prototype("$;$") (call: "ifname, flags = undef") -> Result<Value> {
        answer(|| {
            let (name, flags) = untainted(call, c"Linux::Clone::siocsifflags", |call| {
                let name = interface_name(call)?;
                Ok((name, optional("siocsifflags", "$flags", call.get(1).as_deref())?))
            })?;
            sys::set_interface_flags(&name, flags)?;
            Ok(0)
        })
    }

    /// `configure_loopback`: 0; it dies, with `$!` set, where the kernel refuses, as that of
    /// Linux::Clone 1.3: nobody goes on without a network.
    fn configure_loopback :prototype("") (_call: "") -> Result<Value> {
        answer(|| match sys::bring_up_loopback() {
            Ok(()) => Ok(0),
            Err(error) => {
                let errno = error.errno();
                let hint = match errno {
                    libc::EPERM => " (it takes CAP_NET_ADMIN in the network namespace)",
                    _ => "",
                };
                let reason = sys::strerror(errno);
                sys::set_errno(errno);
                Err(Error::usage(format!(
                    "Linux::Clone::configure_loopback: {reason}{hint}"
                )))
            }
        })
    }
}

/// Reads `$ifname`.
fn interface_name(call: &Call<'_>) -> core::result::Result<InterfaceName, Error> {
    let arg = call.arg(0);
    let name = arg.file_name()?;
    let name = name.as_deref().and_then(InterfaceName::new);
    name.ok_or_else(|| {
        Error::usage(format!(
            "Linux::Clone::siocsifflags: $ifname must be the name of an interface, 1 to 15 bytes \
             without a NUL, not {}",
            arg.describe()
        ))
    })
}

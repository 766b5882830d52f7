//! Network interfaces (netdevice(7)).
//!
//! Nothing here allocates or takes a lock: a child may call it, too.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use libc::{c_char, c_int, c_short, ifreq, sockaddr_in};

use super::{answered, errno, last_error};
use crate::error::Error;

/// The name of an interface, with its NUL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InterfaceName([c_char; libc::IFNAMSIZ]);

impl InterfaceName {
    const LOOPBACK: Self = Self::from_bytes(b"lo");
    /// The address below has a label of its own, so that it takes no other one's place.
    const LOOPBACK_ADDRESS: Self = Self::from_bytes(b"lo:127.0.0.1");

    /// None if the name is empty, too long, or has a NUL.
    pub(crate) fn new(name: &[u8]) -> Option<Self> {
        (1..libc::IFNAMSIZ)
            .contains(&name.len())
            .then_some(name)
            .filter(|name| !name.contains(&0))
            .map(Self::from_bytes)
    }

    const fn from_bytes(name: &[u8]) -> Self {
        let mut chars = [0; libc::IFNAMSIZ];
        let mut i = 0;
        while i < name.len() {
            chars[i] = name[i] as c_char;
            i += 1;
        }
        InterfaceName(chars)
    }

    fn request(&self) -> ifreq {
        // SAFETY: all zeros is a valid `ifreq`.
        let mut request: ifreq = unsafe { std::mem::zeroed() };
        request.ifr_name = self.0;
        request
    }
}

/// A socket, close-on-exec, for ioctl(2) on interfaces.
struct Socket(OwnedFd);

impl Socket {
    fn new() -> Result<Self, Error> {
        // SAFETY: touches no memory; the descriptor is new, and nobody else's.
        unsafe {
            let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
            let fd = answered(libc::socket(libc::AF_INET, kind, 0))?;
            Ok(Socket(OwnedFd::from_raw_fd(fd)))
        }
    }

    /// SIOCGIFFLAGS and SIOCSIFFLAGS.
    fn set_flags(&self, name: &InterfaceName, flags: Option<u16>) -> Result<(), Error> {
        let fd = self.0.as_raw_fd();
        let mut request = name.request();
        // SAFETY: both take a pointer to an `ifreq` and use its flags; the first fills them in.
        unsafe {
            request.ifr_ifru.ifru_flags = match flags {
                Some(flags) => flags as c_short,
                None => {
                    answered(libc::ioctl(fd, libc::SIOCGIFFLAGS as _, &raw mut request))?;
                    request.ifr_ifru.ifru_flags | libc::IFF_UP as c_short
                }
            };
            answered(libc::ioctl(fd, libc::SIOCSIFFLAGS as _, &raw mut request)).map(drop)
        }
    }
}

/// Sets the flags of an interface; with None it is brought up, and the others stay.
pub(crate) fn set_interface_flags(name: &InterfaceName, flags: Option<u16>) -> Result<(), Error> {
    Socket::new()?.set_flags(name, flags)
}

/// Brings lo up, with the address 127.0.0.1, whose mask is that of its class: 255.0.0.0. The kernel
/// gives it the address as it comes up, but not if it was up and has lost it.
pub(crate) fn bring_up_loopback() -> Result<(), Error> {
    let socket = Socket::new()?;
    socket.set_flags(&InterfaceName::LOOPBACK, None)?;
    let address = sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: 0,
        sin_addr: libc::in_addr {
            s_addr: libc::INADDR_LOOPBACK.to_be(),
        },
        sin_zero: [0; 8],
    };
    let mut request = InterfaceName::LOOPBACK_ADDRESS.request();
    // SAFETY: a `sockaddr_in` is one of the forms of the `sockaddr` there, and of its size.
    let outcome: c_int = unsafe {
        (&raw mut request.ifr_ifru)
            .cast::<sockaddr_in>()
            .write(address);
        let fd = socket.0.as_raw_fd();
        libc::ioctl(fd, libc::SIOCSIFADDR as _, &raw mut request)
    };
    match outcome {
        -1 if errno() != libc::EEXIST => Err(last_error()),
        _ => Ok(()),
    }
}

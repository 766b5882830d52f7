//! What is mounted in a new mount namespace stays there, and what is mounted elsewhere stays away
//! (mount_namespaces(7)): implied by NEWNS.

use libc::c_int;

use super::{Plan, Scene, Step, Stop};
use crate::flags::CloneFlags;
use crate::spawn::refusal::user_namespace_setting;
use crate::sys;

#[derive(Debug, Default)]
pub(super) struct PrivateMounts;

impl Step for PrivateMounts {
    fn options(&self) -> &'static [&'static str] {
        &[]
    }

    fn act(&self, scene: &Scene<'_>) -> Result<(), Stop> {
        let Plan { flags, root, .. } = scene.plan;
        // for a root the child makes the namespace
        match flags.contains(CloneFlags::NEWNS) || root.is_some() {
            true => {
                let flags = libc::MS_REC | libc::MS_PRIVATE;
                Ok(sys::mount(c"none", c"/", None, flags)?)
            }
            false => Ok(()),
        }
    }

    fn name(&self, _: u8) -> &'static str {
        "private mounts"
    }

    fn hint(&self, _: u8, errno: c_int, _: &Plan) -> Option<String> {
        match errno {
            libc::EPERM => user_namespace_setting()
                .or_else(|| Some("it takes CAP_SYS_ADMIN in the user namespace".into())),
            libc::EINVAL => Some("is the caller in a chroot?".into()),
            _ => None,
        }
    }
}

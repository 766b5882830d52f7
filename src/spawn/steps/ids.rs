//! `uid_map`, `gid_map`: which ids of the child's new user namespace stand for which outside
//! (user_namespaces(7)), and the ids that the child takes in it.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;

use libc::c_int;
use perlxs::{Call, Scalar};

use super::{FUNCTION, Needs, Plan, Scene, Service, Step, Stop};
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::read;
use crate::spawn::refusal::{Refusal, user_namespace_setting, wrong};
use crate::sys::{self, ProcDirectory};

const NAMES: [&str; 2] = ["uid_map", "gid_map"];

/// Writes the maps: the child its own where it may, else its parent.
#[derive(Debug, Default)]
pub(super) struct Maps {
    given: Vec<IdMap>,
}

impl Step for Maps {
    fn options(&self) -> &'static [&'static str] {
        &NAMES
    }

    fn read(
        &mut self,
        _: &Call<'_>,
        option: &'static str,
        value: Option<&Scalar>,
    ) -> Result<(), Error> {
        let kind = match option {
            "uid_map" => IdKind::User,
            _ => IdKind::Group,
        };
        self.given.retain(|map| map.kind != kind);
        if let Some(value) = value {
            self.given
                .push(IdMap::new(kind, rows(option, kind, value)?));
        }
        Ok(())
    }

    fn plan(&mut self, plan: &mut Plan) -> Result<(), Error> {
        if !self.given.is_empty() {
            plan.flags |= CloneFlags::NEWUSER;
        }
        for map in &self.given {
            match map.kind {
                IdKind::User => plan.user = map.to_become(),
                IdKind::Group => plan.group = map.to_become(),
            }
        }
        Ok(())
    }

    fn needs(&self, _: &Plan) -> Needs {
        match self.given.iter().all(|map| map.by_the_child) {
            true => Needs::Nothing,
            false => Needs::Service,
        }
    }

    fn serve(&self, service: &Service<'_>) -> Result<(), Refusal> {
        let mut maps = self.given.iter().filter(|map| !map.by_the_child);
        maps.try_for_each(|map| write_map(service, map))
    }

    fn act(&self, _: &Scene<'_>) -> Result<(), Stop> {
        for map in self.given.iter().filter(|map| map.by_the_child) {
            let stop = Stop::at(map.kind as usize);
            let own = ProcDirectory::open(ProcDirectory::OWN).map_err(&stop)?;
            // Without a right to more, the kernel lets a process map its own group only where that
            // has given up setgroups(2), for ever.
            if map.kind == IdKind::Group {
                own.write(c"setgroups", b"deny").map_err(&stop)?;
            }
            own.write(map.kind.file(), &map.text).map_err(&stop)?;
        }
        Ok(())
    }

    fn hint(&self, _: u8, errno: c_int, _: &Plan) -> Option<String> {
        map_hint(errno)
    }
}

/// Takes the ids that the plan has.
#[derive(Debug, Default)]
pub(super) struct Become;

impl Step for Become {
    fn options(&self) -> &'static [&'static str] {
        &[]
    }

    fn act(&self, scene: &Scene<'_>) -> Result<(), Stop> {
        let plan = scene.plan;
        // Whether the process is to own its /proc/self after that as before it, which also lets
        // others with those ids trace it: for code. A program owns it anyway, and before it runs
        // nobody shall look into what is a copy of a privileged process.
        let dumpable = plan.runs_code && sys::is_dumpable();
        if let Some(group) = plan.group {
            sys::set_group(group).map_err(Stop::at(IdKind::Group as usize))?;
        }
        if let Some(user) = plan.user {
            sys::set_user(user).map_err(Stop::at(IdKind::User as usize))?;
        }
        if dumpable {
            sys::set_dumpable();
        }
        Ok(())
    }

    fn name(&self, part: u8) -> &'static str {
        NAMES[usize::from(part != 0)]
    }

    fn hint(&self, _: u8, errno: c_int, _: &Plan) -> Option<String> {
        map_hint(errno)
    }
}

fn map_hint(errno: c_int) -> Option<String> {
    let hint = match errno {
        libc::EPERM => {
            return user_namespace_setting().or_else(|| {
                Some(
                    "ids that the caller does not have itself, or not in its own user namespace; \
                     mapping root takes CAP_SETFCAP"
                        .into(),
                )
            });
        }
        libc::EACCES => {
            "a caller that has changed its ids does not own its /proc/self before it calls exec; \
             see PR_SET_DUMPABLE in prctl(2)"
        }
        libc::ENOENT => "there is no proc(5) on /proc",
        libc::EINVAL => "rows that overlap, or more than the kernel takes",
        _ => return None,
    };
    Some(hint.into())
}

/// User ids or group ids (user_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IdKind {
    User,
    Group,
}

/// `uid_map` or `gid_map`.
#[derive(Debug)]
struct IdMap {
    kind: IdKind,
    rows: Vec<Row>,
    /// As /proc/PID/uid_map takes them.
    text: Vec<u8>,
    /// Whether the child may write it itself: the caller's own id alone, which anybody may map.
    by_the_child: bool,
}

/// `count` ids from `inside` on stand for those from `outside` on.
#[derive(Clone, Copy, Debug)]
struct Row {
    inside: u32,
    outside: u32,
    count: u32,
}

impl IdKind {
    /// The option, which has the name of the file in /proc/PID.
    fn name(self) -> &'static str {
        NAMES[self as usize]
    }

    /// The file's name in /proc/PID.
    fn file(self) -> &'static CStr {
        match self {
            IdKind::User => c"uid_map",
            IdKind::Group => c"gid_map",
        }
    }

    /// The caller's own id.
    fn own(self) -> u32 {
        match self {
            IdKind::User => sys::geteuid(),
            IdKind::Group => sys::getegid(),
        }
    }

    /// Whether the caller may map others' ids, too (capabilities(7)).
    fn may_map_others(self) -> bool {
        sys::has_capability(match self {
            IdKind::User => sys::CAP_SETUID,
            IdKind::Group => sys::CAP_SETGID,
        })
    }
}

impl IdMap {
    fn new(kind: IdKind, rows: Vec<Row>) -> Self {
        let lines = rows.iter().map(|row| {
            let Row {
                inside,
                outside,
                count,
            } = row;
            format!("{inside} {outside} {count}\n")
        });
        let text = lines.collect::<String>().into_bytes();
        let own = kind.own();
        let is_own_alone = matches!(&rows[..], [Row { outside, count: 1, .. }] if *outside == own);
        IdMap {
            kind,
            text,
            by_the_child: is_own_alone && !kind.may_map_others(),
            rows,
        }
    }

    /// The id that the child has to take: 0, if that is mapped and the caller's own is not.
    fn to_become(&self) -> Option<u32> {
        let contains = |first: u32, count: u32, id: u32| id >= first && id - first < count;
        let own = self.kind.own();
        let own_is_mapped = |row: &Row| contains(row.outside, row.count, own);
        let root_is_mapped = |row: &Row| row.inside == 0;
        (self.rows.iter().any(root_is_mapped) && !self.rows.iter().any(own_is_mapped)).then_some(0)
    }
}

fn rows(name: &str, kind: IdKind, value: &Scalar) -> Result<Vec<Row>, Error> {
    let own = kind.own();
    let refusal = || {
        wrong(format!(
            "{name} must be 'root', 'self' or a reference to an array of rows [inside, outside, \
             count], not {}",
            value.describe()
        ))
    };
    let Some(elements) = value.elements()? else {
        let inside = match value.file_name()?.as_deref() {
            Some(b"root") => 0,
            Some(b"self") => own,
            _ => return Err(refusal()),
        };
        return Ok(vec![Row {
            inside,
            outside: own,
            count: 1,
        }]);
    };
    if elements.is_empty() {
        return Err(refusal());
    }
    let mut rows = Vec::with_capacity(elements.len());
    for row in elements {
        let row = row.copy()?;
        let numbers = row.elements()?.ok_or_else(refusal)?;
        let [inside, outside, count] = &numbers[..] else {
            return Err(refusal());
        };
        let number = |what: &Scalar| read::number::<u32>(FUNCTION, name, &what.copy()?);
        let (inside, outside, count) = (number(inside)?, number(outside)?, number(count)?);
        // the highest id stands for none
        let ends = [inside, outside].map(|first| first.checked_add(count));
        if count == 0 || ends.contains(&None) {
            return Err(wrong(format!(
                "{name} has a row that is empty, or ends above all ids: [{inside}, {outside}, \
                 {count}]"
            )));
        }
        rows.push(Row {
            inside,
            outside,
            count,
        });
    }
    Ok(rows)
}

/// Whether the numbers in /proc are those of the caller's PID namespace: in another one's /proc
/// they are other processes, and the caller has several (proc_pid_status(5), NSpid).
///
/// Returns `Err` if it cannot be asked.
fn proc_is_ours() -> io::Result<bool> {
    let status = match fs::read_to_string("/proc/self/status") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        status => status?,
    };
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    Ok(ids.is_some_and(|ids| ids.split_whitespace().count() == 1))
}

/// Writes a map that the child cannot write itself: with the right to map others' ids directly,
/// else by the program that has it for who has a range in /etc/subuid (newuidmap(1)).
fn write_map(service: &Service<'_>, map: &IdMap) -> Result<(), Refusal> {
    let kind = map.kind;
    let name = kind.name();
    if !proc_is_ours().map_err(|error| Refusal::new(name, errno_of(error), None))? {
        let hint = "/proc is not that of the caller's PID namespace".into();
        return Err(Refusal::new(name, libc::ENOENT, Some(hint)));
    }
    if kind.may_map_others() {
        let written =
            proc_directory(service).and_then(|directory| directory.write(kind.file(), &map.text));
        return written.map_err(|error| {
            let errno = error.errno();
            Refusal::new(name, errno, map_hint(errno))
        });
    }
    let (program, ranges, capability) = match kind {
        IdKind::User => ("newuidmap", "/etc/subuid", "CAP_SETUID"),
        IdKind::Group => ("newgidmap", "/etc/subgid", "CAP_SETGID"),
    };
    let refusal = |errno, hint| Refusal::new(&format!("{name} {program}"), errno, hint);
    let mut words: Vec<String> = vec![program.into(), service.pid.to_string()];
    for &Row {
        inside,
        outside,
        count,
    } in &map.rows
    {
        words.extend([inside, outside, count].map(|id| id.to_string()));
    }
    // whose id the program gets is not a stranger's
    if !sys::keeps_its_id(service.pidfd) {
        return Err(refusal(libc::ESRCH, None));
    }
    let words = words.into_iter().filter_map(|word| CString::new(word).ok());
    let said = (service.run)(words.collect()).map_err(|Refusal { errno, .. }| {
        let hint = format!(
            "without {capability} that program maps other ids than your own; is its package \
             uidmap installed?"
        );
        refusal(
            errno,
            matches!(errno, libc::ENOENT | libc::EACCES).then_some(hint),
        )
    })?;
    // Its status may be somebody else's, who waits for all children; but the map tells.
    match fs::read(format!("/proc/{}/{name}", service.pid)) {
        Ok(text) if !text.is_empty() => Ok(()),
        Err(error) => Err(refusal(errno_of(error), None)),
        Ok(_) => {
            let said = match said.trim_end().replace('\n', "; ") {
                said if said.is_empty() => "it said nothing".into(),
                said => said,
            };
            let hint = format!("{said}; does {ranges} have a range for you?");
            Err(refusal(libc::EPERM, Some(hint)))
        }
    }
}

/// The child's directory in proc(5), not that of another process which has got the same id since.
///
/// Returns ESRCH if somebody has killed and reaped it.
fn proc_directory(service: &Service<'_>) -> Result<ProcDirectory, Error> {
    let name = CString::new(format!("/proc/{}", service.pid)).unwrap_or_default();
    let directory = ProcDirectory::open(&name)?;
    // whose id it still is was there when that was opened, too
    match sys::keeps_its_id(service.pidfd) {
        true => Ok(directory),
        false => Err(Error::Errno(libc::ESRCH)),
    }
}

fn errno_of(error: io::Error) -> c_int {
    error.raw_os_error().unwrap_or(libc::EIO)
}

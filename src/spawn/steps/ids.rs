//! `uid_map`, `gid_map`: which ids of the child's new user namespace stand for which outside
//! (user_namespaces(7)), and the ids that the child takes in it.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use libc::c_int;
use perlxs::{Call, Scalar};

use super::{
    FUNCTION, NO_PROC, Needs, Plan, SYSTEM_PATH, Scene, Service, Step, Stop, Taken, covers,
    proc_hint,
};
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::read;
use crate::spawn::caller;
use crate::spawn::refusal::{Refusal, wrong};
use crate::sys::{self, ProcDirectory};

const NAMES: [&str; 2] = ["uid_map", "gid_map"];

const NO_SETFCAP: &str = "mapping root takes CAP_SETFCAP";

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
            let outside = map.rows.iter().map(|row| (row.outside, row.count));
            plan.mapped[map.kind as usize] = outside.collect();
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

    fn hint(&self, part: u8, errno: c_int, _: &Plan) -> Option<String> {
        let map = self.given.iter().find(|map| map.kind as u8 == part)?;
        map.hint(errno)
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
            sys::set_group(group.inside).map_err(Stop::at(IdKind::Group as usize))?;
        }
        if let Some(user) = plan.user {
            sys::set_user(user.inside).map_err(Stop::at(IdKind::User as usize))?;
        }
        if dumpable {
            sys::set_dumpable();
        }
        Ok(())
    }

    fn name(&self, part: u8) -> &'static str {
        NAMES[usize::from(part != 0)]
    }

    fn hint(&self, part: u8, errno: c_int, plan: &Plan) -> Option<String> {
        match errno {
            libc::EPERM if part == IdKind::Group as u8 && caller::is_denied_setgroups() => Some(
                "setgroups(2) is denied in the caller's user namespace: there is no way to leave \
                 the caller's groups"
                    .into(),
            ),
            libc::EPERM => plan.right_hint(errno, "CAP_SETUID and CAP_SETGID in the namespace"),
            _ => None,
        }
    }
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

impl Row {
    /// The ids outside: the first, and the one behind the last.
    fn ends(&self) -> (u64, u64) {
        let first = self.outside.into();
        (first, first + u64::from(self.count))
    }

    /// As the option has it.
    fn shown(&self) -> String {
        let Row {
            inside,
            outside,
            count,
        } = self;
        format!("[{inside}, {outside}, {count}]")
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

    /// Why it may not have been written.
    fn hint(&self, errno: c_int) -> Option<String> {
        match errno {
            libc::EPERM => self
                .beyond_own_map()
                .or_else(|| self.lacks_setfcap().then(|| NO_SETFCAP.into()))
                .or_else(caller::rights_setting)
                .or_else(|| {
                    Some(
                        "ids that the caller does not have itself, or not in its own user \
                         namespace; mapping root takes CAP_SETFCAP"
                            .into(),
                    )
                }),
            libc::ENOENT => Some(NO_PROC.into()),
            libc::EACCES => proc_hint(),
            libc::EINVAL => Some(
                self.overlap()
                    .unwrap_or_else(|| "more rows than the kernel takes".into()),
            ),
            _ => None,
        }
    }

    /// Two rows that overlap, inside or outside.
    fn overlap(&self) -> Option<String> {
        let overlap = |a: u32, b: u32, one: &Row, other: &Row| {
            u64::from(a) < u64::from(b) + u64::from(other.count)
                && u64::from(b) < u64::from(a) + u64::from(one.count)
        };
        let mut rows = self.rows.iter().enumerate();
        rows.find_map(|(n, one)| {
            let other = self.rows[..n].iter().find(|other| {
                overlap(one.inside, other.inside, one, other)
                    || overlap(one.outside, other.outside, one, other)
            })?;
            Some(format!(
                "the rows {} and {} overlap",
                other.shown(),
                one.shown()
            ))
        })
    }

    /// A row whose outside is not in one row of the caller's own map, where the kernel wants it.
    fn beyond_own_map(&self) -> Option<String> {
        let own = caller::own_map(self.kind.name())?;
        let row = self.rows.iter().find(|row| {
            let (first, end) = row.ends();
            !own.iter()
                .any(|&(own, count)| own <= first && end <= own + count)
        })?;
        // whether all of it is there, though in several rows
        let (mut next, end) = row.ends();
        while let Some((first, count)) = own
            .iter()
            .find(|&&(first, count)| first <= next && next < first + count && next < end)
        {
            next = first + count;
        }
        let shown = row.shown();
        Some(match next >= end {
            true => format!(
                "the row {shown} crosses rows of the caller's own {}: it takes one for each of \
                 these",
                self.kind.name()
            ),
            false => format!("the row {shown} has ids that the caller's own user namespace lacks"),
        })
    }

    /// Whether root is mapped without the right to that (Linux 5.12).
    fn lacks_setfcap(&self) -> bool {
        self.kind == IdKind::User
            && self.rows.iter().any(|row| row.outside == 0)
            && !sys::has_capability(sys::CAP_SETFCAP)
    }

    /// The id that the child has to take: 0, if that is mapped and the caller's own is not.
    fn to_become(&self) -> Option<Taken> {
        let own = self.kind.own();
        let root = self.rows.iter().find(|row| row.inside == 0)?;
        let mut rows = self.rows.iter();
        let own_is_mapped = rows.any(|row| covers(row.outside, row.count, own));
        (!own_is_mapped).then_some(Taken {
            inside: 0,
            outside: root.outside,
        })
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
            Refusal::new(name, errno, map.hint(errno))
        });
    }
    let (program, ranges, capability) = match kind {
        IdKind::User => ("newuidmap", "/etc/subuid", "CAP_SETUID"),
        IdKind::Group => ("newgidmap", "/etc/subgid", "CAP_SETGID"),
    };
    let what = format!("{name} {program}");
    let refusal = |errno, hint| Refusal::new(&what, errno, hint);
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
        let hint = match errno {
            libc::ENOENT | libc::EACCES => Some(format!(
                "without {capability} that program maps other ids than your own; is its package \
                 uidmap installed?"
            )),
            libc::EPERM => powerless(program, capability),
            _ => None,
        };
        refusal(errno, hint)
    })?;
    // Its status may be somebody else's, who waits for all children; but the map tells.
    match fs::read(format!("/proc/{}/{name}", service.pid)) {
        Ok(text) if !text.is_empty() => return Ok(()),
        Err(error) => return Err(refusal(errno_of(error), None)),
        Ok(_) => {}
    }
    let said = said.trim_end().replace('\n', "; ");
    // what it says of the kernel's answer
    if said.contains(&sys::strerror(libc::EINVAL)) {
        return Err(refusal(libc::EINVAL, map.hint(libc::EINVAL)));
    }
    let asks = || format!("does {ranges} have a range for you?");
    let cause = match said.contains("not allowed") {
        true => Some(asks()),
        false => powerless(program, capability)
            .or_else(|| map.beyond_own_map())
            .or_else(|| said.is_empty().then(asks)),
    };
    let said = match said.is_empty() {
        true => "it said nothing".into(),
        false => said,
    };
    let hint = match cause {
        Some(cause) => format!("{said}; {cause}"),
        None => said,
    };
    Err(refusal(libc::EPERM, Some(hint)))
}

/// Why a program gets no right to map others' ids from the system.
fn powerless(program: &str, capability: &str) -> Option<String> {
    if caller::has_no_new_privs() {
        return Some("no program gives rights to a caller with no_new_privs (prctl(2))".into());
    }
    let mut files = SYSTEM_PATH
        .split(':')
        .map(|path| format!("{path}/{program}"));
    let (file, about) = files.find_map(|file| {
        let about = fs::metadata(&file).ok()?;
        (about.is_file() && about.mode() & 0o111 != 0).then_some((file, about))
    })?;
    let path = CString::new(file.as_bytes()).ok()?;
    let set_user_id = about.mode() & libc::S_ISUID != 0;
    let number = match capability {
        "CAP_SETUID" => sys::CAP_SETUID,
        _ => sys::CAP_SETGID,
    };
    Some(match about.uid() {
        _ if sys::is_mounted_nosuid(&path) => {
            format!("{file} is on a file system that is mounted nosuid")
        }
        _ if !set_user_id && !sys::has_file_capabilities(&path) => {
            format!("{file} is not set-user-ID, and has no capabilities")
        }
        user @ 1.. if set_user_id && caller::is_in_first_user_namespace() => {
            format!("{file} is set-user-ID, but its owner is user {user}")
        }
        1.. if set_user_id => {
            format!(
                "{file} is not of root of the caller's user namespace, so that its \
                     set-user-ID bit gives no rights there"
            )
        }
        _ if !caller::is_in_bounding_set(number) => {
            format!("{capability} is not in the caller's bounding set")
        }
        _ => return None,
    })
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

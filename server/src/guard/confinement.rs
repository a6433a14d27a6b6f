//! What a program may be and use. The guard applies it to itself, just before it becomes the program.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::fchown;
use rustix::process::{Gid, Resource, Rlimit, Uid, getrlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

/// `None` leaves the program what the server has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Confinement {
    pub(crate) account: Option<Account>,
    /// Bytes of memory for each process: heap, stacks of threads, and everything else that is private to it. Address
    /// space that is only reserved does not count, as some runtimes reserve a lot of it.
    pub(crate) memory: Option<u64>,
    /// Processes and threads of the account at the same time.
    pub(crate) processes: Option<u64>,
    /// The soft limit on open files.
    pub(crate) open_files: Option<u64>,
}

/// A user and its group. Never root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Confinement {
    /// One argument of a guard; [`Confinement::of_argument`] reads it.
    pub(super) fn to_argument(self) -> String {
        let account = self.account;
        let [uid, gid] = [account.map(|a| a.uid.into()), account.map(|a| a.gid.into())];
        let fields = [uid, gid, self.memory, self.processes, self.open_files];
        fields.map(|field| field.map_or_else(|| "-".to_owned(), |n| n.to_string())).join(":")
    }

    pub(super) fn of_argument(argument: &OsStr) -> Option<Self> {
        let mut fields = argument.to_str()?.split(':').map(|field| match field {
            "-" => Some(None),
            number => number.parse::<u64>().ok().map(Some),
        });
        let mut next = || fields.next()?;
        let account = match (next()?, next()?) {
            (Some(uid), Some(gid)) => {
                Some(Account { uid: uid.try_into().ok()?, gid: gid.try_into().ok()? })
            }
            (Some(_) | None, _) => None,
        };
        Some(Self { account, memory: next()?, processes: next()?, open_files: next()? })
    }

    /// Confines this process, which must have a single thread.
    pub(super) fn apply(self) -> io::Result<()> {
        // Neither sudo nor another set-user-ID program gives anything back.
        set_no_new_privs(true)?;
        if let Some(limit) = self.open_files {
            let maximum = getrlimit(Resource::Nofile).maximum;
            // Undoes what the server did for itself: some programs do not work with a high limit.
            setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum }).ok();
        }
        limit(Resource::Data, self.memory)?;
        limit(Resource::Nproc, self.processes)?;
        self.account.map_or(Ok(()), Account::assume)
    }
}

impl Account {
    fn assume(self) -> io::Result<()> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        // As their owner the program can open them by name, for example as /dev/stderr.
        for pipe in [io::stdin().as_fd(), io::stdout().as_fd(), io::stderr().as_fd()] {
            fchown(pipe, Some(uid), Some(gid)).ok();
        }
        set_thread_groups(&[])?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
        let none = CapabilitySet::empty();
        let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
        Ok(set_capabilities(None, none)?)
    }
}

fn limit(resource: Resource, value: Option<u64>) -> io::Result<()> {
    let Some(value) = value else { return Ok(()) };
    // A limit that the server has itself may be lower.
    let value = getrlimit(resource).maximum.map_or(value, |maximum| maximum.min(value));
    Ok(setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_read_as_it_was_written() {
        let account = Some(Account { uid: 65_534, gid: 100 });
        for confinement in [
            Confinement::default(),
            Confinement { account, memory: Some(u64::MAX), processes: Some(7), open_files: None },
            Confinement { open_files: Some(1024), ..Confinement::default() },
        ] {
            let argument = confinement.to_argument();
            assert_eq!(
                Confinement::of_argument(argument.as_ref()),
                Some(confinement),
                "{argument}"
            );
        }
        for wrong in ["", "1", "-:-:-:-", "a:-:-:-:-", "4294967296:1:-:-:-"] {
            assert_eq!(Confinement::of_argument(wrong.as_ref()), None, "{wrong}");
        }
    }
}

//! seccomp: which calls a child may make to the kernel.
//!
//! What is not on the list is answered as by a kernel that does not have it, which every library is prepared for. What no
//! picture ever needs, and who tries it is up to something, ends the process.

use std::collections::BTreeMap;
use std::error::Error;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter_all_threads,
};

/// Calls that may be made with any arguments.
const ALLOWED: &[libc::c_long] = &[
    // Memory.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mincore,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Files; which, says Landlock.
    libc::SYS_close,
    libc::SYS_copy_file_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_umask,
    libc::SYS_unlinkat,
    libc::SYS_write,
    libc::SYS_writev,
    // Threads and time.
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_get_robust_list,
    libc::SYS_getcpu,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_sigaltstack,
    libc::SYS_times,
    // What it is itself.
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getrlimit,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    // Its own waiting.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
];

/// Older forms of such calls, which newer processors do not have.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[libc::c_long] = &[
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_dup2,
    libc::SYS_epoll_wait,
    libc::SYS_getdents,
    libc::SYS_getpgrp,
    libc::SYS_lstat,
    libc::SYS_open,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_select,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[libc::c_long] = &[];

/// Calls that end the process.
const DEADLY: &[libc::c_long] = &[
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_delete_module,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_open,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

/// `prctl(PR_SET_VMA, …)` names memory, which the C library does.
const PR_SET_VMA: u64 = 0x5356_4d41;

/// Restricts all threads of this process, which may yet become another `program`. False if the kernel does not have it.
pub(super) fn restrict(program: bool) -> Result<bool, Box<dyn Error + Send + Sync>> {
    let mut allowed: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED
        .iter()
        .chain(ALLOWED_HERE)
        .map(|call| (*call, Vec::new()))
        .collect();
    let is = SeccompCmpOp::Eq;
    let own = u64::from(std::process::id());
    let threads = libc::CLONE_THREAD.unsigned_abs().into();
    allowed.extend([
        // A thread, and no process.
        (
            libc::SYS_clone,
            vec![when(0, SeccompCmpOp::MaskedEq(threads), threads)?],
        ),
        // To abort is to send oneself a signal.
        (libc::SYS_tgkill, vec![when(0, is.clone(), own)?]),
        // Limits may be asked for, not set.
        (libc::SYS_prlimit64, vec![when(2, is.clone(), 0)?]),
        // Whether it is a terminal, and how much is there to read.
        (
            libc::SYS_ioctl,
            vec![
                when(1, is.clone(), libc::TCGETS)?,
                when(1, is.clone(), libc::FIONREAD)?,
            ],
        ),
        (
            libc::SYS_prctl,
            [
                libc::PR_SET_NAME.unsigned_abs().into(),
                libc::PR_GET_NAME.unsigned_abs().into(),
                PR_SET_VMA,
            ]
            .into_iter()
            .map(|option| when(0, is.clone(), option))
            .collect::<Result<_, _>>()?,
        ),
    ]);
    let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let mut deadly: BTreeMap<i64, Vec<SeccompRule>> =
        DEADLY.iter().map(|call| (*call, Vec::new())).collect();
    if program {
        // Which one, says Landlock.
        deadly.remove(&libc::SYS_execve);
        allowed.insert(libc::SYS_execve, Vec::new());
    }
    let arch = std::env::consts::ARCH.try_into()?;
    let filters = [
        SeccompFilter::new(
            deadly,
            SeccompAction::Allow,
            SeccompAction::KillProcess,
            arch,
        )?,
        SeccompFilter::new(allowed, unknown, SeccompAction::Allow, arch)?,
    ];
    for filter in filters {
        // The first one leaves in what it takes to install the second.
        match apply_filter_all_threads(&BpfProgram::try_from(filter)?) {
            Ok(()) => {}
            Err(seccompiler::Error::Seccomp(error))
                if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) =>
            {
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// A rule on one argument of a call.
fn when(
    argument: u8,
    compare: SeccompCmpOp,
    value: u64,
) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Qword, compare, value)?;
    SeccompRule::new(vec![condition])
}

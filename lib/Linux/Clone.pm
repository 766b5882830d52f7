package Linux::Clone;

use strict;
use warnings;

our $VERSION = '2.000';

require XSLoader;
XSLoader::load('Linux::Clone', $VERSION);
# now: when spawn makes an object, there may be no descriptor left, and a handler may die
require Linux::Clone::Child;

# Nothing by default. The constants are exported under their names in the manual pages of Linux.
our %EXPORT_TAGS = (
    flags => [ grep { /^(?:CLONE_|CSIGNAL$)/ } keys %Linux::Clone:: ],
    wait  => [ grep { /^(?:P_|W[A-Z]|__W|CLD_|PIDFD_)/ } keys %Linux::Clone:: ],
    kcmp  => [ grep { /^KCMP_/ } keys %Linux::Clone:: ],
    ns    => [ grep { /^NS_/ } keys %Linux::Clone:: ],
    net   => [ grep { /^IFF_/ } keys %Linux::Clone:: ],
);
our @EXPORT_OK = (
    qw(clone clone3 spawn unshare pidfd_open pidfd_send_signal waitid),
    qw(setns pivot_root kcmp siocsifflags configure_loopback),
    qw(ns_get_userns ns_get_parent ns_get_nstype ns_get_owner_uid),
    map { @$_ } values %EXPORT_TAGS
);

# Why the last spawn that returned undef did.
our $error;

sub import {
    return if @_ == 1;
    require Exporter;
    goto &Exporter::import;
}

1;

__END__

=encoding UTF-8

=head1 NAME

Linux::Clone - start processes with clone(2), leave namespaces with unshare(2)

=head1 VERSION

This is the manual of version 2.000.

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Linux::Clone qw(spawn clone unshare :flags);
    use POSIX qw(SIGCHLD);

    # a program in namespaces of its own, as any user
    my $child = spawn(
        flags    => CLONE_NEWPID,
        uid_map  => 'root',
        hostname => 'box',
        loopback => 1,
        exec     => ['sh', '-c', 'echo process $$ of $(uname -n)'],
    ) or die "$Linux::Clone::error\n";
    $child->wait;
    print "exit status ", $? & 127 ? 128 + ($? & 127) : $? >> 8, "\n";

    # the system call itself, with a coderef for the child
    my $pid = clone sub {
        print "I am process $$, my parent is ", getppid, "\n";
        return 77;
    }, 0, CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD;
    die "clone: $!\n" if $pid == -1;

    waitpid $pid, 0;
    print "exit status ", $? & 127 ? 128 + ($? & 127) : $? >> 8, "\n";

    # this process moves: afterwards it sees an unconfigured lo alone
    unshare CLONE_NEWUSER | CLONE_NEWNET and die "unshare: $!\n";

    # clone without importing anything
    $pid = Linux::Clone::clone(sub { 0 }, 0, Linux::Clone::FS | SIGCHLD);
    die "clone: $!\n" if $pid == -1;
    waitpid $pid, 0;

=head1 DESCRIPTION

L</spawn> starts a program or a coderef in namespaces of its own, and does the
whole job in one call: id maps, clocks, host name, loopback interface, root
directory, F</proc>. For most uses it is the call to take.

Below it this module gives Perl two system calls of Linux. clone(2) starts a
process, as fork(2) does, but lets the caller choose what the child shares
with its parent and which namespaces it gets for itself. unshare(2) makes that
choice for a process that already runs. Together they are what containers are
made of: see namespaces(7). With them come the system calls that go on from
there: L</setns> joins a namespace, L</pivot_root> changes the root file
system, L</configure_loopback> makes a new network usable, and L</kcmp> tells
what two processes share.

What differs from C is the child. It does not come back from the call, as it
does from perl's C<fork>: it calls a coderef on a stack of its own and ends
with what that returns. L</THE CHILD> says what that means for exceptions,
C<exit>, output, C<END> blocks and destructors.

This is a new module, with the functions of the one of this name by Marc
Lehmann, versions 0.01 to 1.3: L</DIFFERENCES> says what is not as there.

Flags have two names. C<Linux::Clone::NEWNS> is always there; C<CLONE_NEWNS>,
its name in clone(2), can be imported. See L</FLAGS> and L</EXPORTS>.

=head1 PAGES

This page has the functions, the flags and the other constants, what holds for
every child, and what the messages mean. There are four more:

=over 4

=item L<Linux::Clone::Spawn>

All of spawn: its options, the order of its steps, its speed and its errors.

=item L<Linux::Clone::Child>

The object that spawn returns, and its methods.

=item L<Linux::Clone::SharedMemory>

Children that run in their parent's memory: VM|VFORK.

=item L<Linux::Clone::Cookbook>

The recipes: each is a program that runs.

=back

=head1 FUNCTIONS

These functions return -1 (spawn: undef; waitid: the empty list) and set C<$!>
if the kernel refuses, and croak if an argument makes no sense. A call that
succeeds leaves C<$!>, C<$@> and C<$?> alone. Arguments are read once; what a
tied or overloaded one throws meanwhile is passed on.

=head2 spawn

    $child = spawn %options or die "$Linux::Clone::error\n";

Starts a child in namespaces of its own, gets it ready, and runs code or a
program there. Linux 5.4. L<Linux::Clone::Spawn> has the options, what is done
in which order, how fast it is, and what the errors mean.

It returns an object, L<Linux::Clone::Child>, to wait for the child or to
signal it; or undef, with C<$!> set, and in C<$Linux::Clone::error> a message
that names the step which the kernel has refused. Options that make no sense
croak before anything is created.

=head2 clone

    $pid = clone $coderef, $stacksize, $flags;
    $pid = clone $coderef, $stacksize, $flags, $ptid, $tls, $ctid;

Starts a child process that calls C<$coderef>. See clone(2).

=over 4

=item $coderef

What the child runs: a CODE reference, an object that overloads C<&{}>, a
glob, or the name of a defined sub (looked up in the caller's package if it
names none). It is called without arguments in scalar context. A closure is
the way to pass it something. The parent keeps nothing of it.

=item $stacksize

The size of the child's stack in bytes, rounded up to whole pages. 0 or undef
stand for the default, 4 MiB. Less than 256 KiB is raised to 256 KiB. See
L</STACK>.

=item $flags

L</FLAGS> joined by C<|>, together with the exit signal: the number, 0 to 64,
of the signal that the parent gets when the child ends. It is C<SIGCHLD> for a
child that C<waitpid> shall find as usual, and 0 for no signal; see
L</Waiting> for any but C<SIGCHLD>. There are 32 bits, which is
what clone(2) reads. Apart from what L</DIAGNOSTICS> lists, the kernel judges
them.

=item $ptid

If given, the parent assigns the child's thread id to it, whether or not
PARENT_SETTID is among the flags; for a child of this module that is the same
number as its process id. With PIDFD it receives the descriptor instead. It
may be anything that can be assigned to: an undefined variable, an array
element, a tied scalar. In the child it stays as it was. A literal C<undef>
stands for an argument that is not given. If a tied scalar dies while it
stores, clone dies with it, but the child runs already.

=item $tls

With SETTLS: what the architecture wants as the child's thread-local storage.
That is an address, as an integer; on i386 the 16 bytes of a C<struct
user_desc> (set_thread_area(2)). It is for C libraries, or for who takes their
place: the child runs perl with it.

=item $ctid

With CHILD_SETTID or CHILD_CLEARTID: where the child's thread id stands. It is
a variable, which is assigned to in the child; or the address of a word, to
which the kernel writes. An integer above 4,194,304, the largest thread id, is
taken for an address; it must be of memory, and divisible by four.

CHILD_SETTID gives a variable its value before the coderef runs. A copy's
variable is the copy's own; in shared memory it is the parent's, too.
CHILD_CLEARTID sets it to 0 in the parent, if that shares the memory, when the
child has ended or called exec. At an address the kernel does that, and wakes
who sleeps there in futex(2); but only if somebody shares the child's memory.

=back

In the parent clone returns the child's process id, as a number of the
parent's PID namespace, or -1 with C<$!>; then there is no child. In the child
it does not return.

It croaks before anything is created if C<$coderef> is no code, if
C<$stacksize> or C<$flags> is not an integer or out of range, if C<$ptid> is
read-only or missing where PIDFD needs it, and if C<$flags> asks for something
that cannot work. L</DIAGNOSTICS> has every message; L</Errors> explains
C<$!>.

=head2 clone3

    $pid = clone3 $coderef, {
        flags       => $flags,
        exit_signal => $signal,
        stack_size  => $bytes,
        pidfd       => \my $pidfd,
        parent_tid  => \my $ptid,
        child_tid   => \my $ctid,
        tls         => $address,
        set_tid     => [ $tid, ... ],
        cgroup      => $fd,
    };

Starts a child as clone does, by the system call clone3(2), Linux 5.3. The
keys are the members of its C<struct clone_args>, and all of them are
optional.

=over 4

=item flags

L</FLAGS> without an exit signal, 64 bits. With CLEAR_SIGHAND, INTO_CGROUP and
NEWTIME, which clone does not have. Unknown bits go to the kernel.

=item exit_signal

A signal number, or 0. SIGCHLD if not given, but 0 with THREAD and PARENT,
which cannot have one.

=item stack_size

As clone's C<$stacksize>.

=item pidfd

A reference to a scalar that receives a descriptor of the child, close-on-exec
and the caller's. Sets PIDFD.

=item parent_tid

A reference to a scalar that receives the child's thread id in the parent.
Sets PARENT_SETTID.

=item child_tid

As clone's C<$ctid>: a reference to a scalar, or an address. Sets
CHILD_SETTID, unless CHILD_CLEARTID is given.

=item tls

As clone's C<$tls>. Sets SETTLS.

=item set_tid

A reference to an array of the thread ids that the child is to have, in its
own PID namespace first and then in those above. Linux 5.5. Needs
CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN in the namespaces.

=item cgroup

A handle or descriptor of the directory of a control group (version 2), in
which the child starts. Linux 5.7. Sets INTO_CGROUP.

=back

clone3 returns the child's process id, or -1 with C<$!>. Where the kernel, or
a filter, has no clone3 for you that is ENOSYS or EPERM; nothing else is tried
in its place, and clone always uses the old system call. It croaks as clone
does, and for a key that there is not. On other architectures than x86-64 and
aarch64 the child runs on its copy of the caller's stack.

=head2 unshare

    $retval = unshare $flags;

Gives the calling process, or the calling thread of several, its own copy of
what C<$flags> name, so that it no longer shares them. See unshare(2).

C<$flags> is an integer; all its bits go to the kernel, which decides. There
are no exit signal and no child here. unshare returns 0, or -1 with C<$!>, and
croaks if it does not get exactly one argument, or one that is no integer.
Because success is 0, the idiom is C<unshare ... and die>. L</Errors> explains
C<$!>.

The prototype is C<@>, so that C<unshare A | B> without parentheses means
C<unshare(A | B)>, and C<unshare A and die> means C<unshare(A) and die>.

=head2 pidfd_open

    $pidfd = pidfd_open $pid;
    $pidfd = pidfd_open $pid, $flags;

Returns a new descriptor of the process C<$pid>, any process of the caller's
PID namespace: its number, with the close-on-exec flag. It is the caller's to
close (C<POSIX::close>). C<$flags> may have PIDFD_NONBLOCK and PIDFD_THREAD;
without it, or with a literal C<undef>, they are 0. See pidfd_open(2), Linux
5.3, and L<Linux::Clone::Cookbook/Signals and status by a pidfd>.

On failure it returns -1, and C<$!> is EINVAL (no such flag, C<$pid> below 1),
EMFILE, ENFILE, ENOENT (a thread that does not lead its process, without
PIDFD_THREAD; older kernels say EINVAL), ENOSYS (an older kernel) or ESRCH
(there is no such process).

=head2 pidfd_send_signal

    $retval = pidfd_send_signal $pidfd, $sig;
    $retval = pidfd_send_signal $pidfd, $sig, $flags;

Sends a signal to the process of a pidfd, never to another that got its
process id later. See pidfd_send_signal(2), Linux 5.1.

=over 4

=item $pidfd

A handle or the number of a descriptor: L</Handles and descriptors>.

=item $sig

The signal's number, 0 to test whether one could be sent, or its name as
C<kill> takes it: C<TERM> or C<SIGTERM>. Unlike there a minus sign means
nothing.

=back

C<$flags> are 0 unless given, or one of PIDFD_SIGNAL_THREAD,
PIDFD_SIGNAL_THREAD_GROUP and PIDFD_SIGNAL_PROCESS_GROUP.

It returns 0, or -1 with C<$!>: EBADF (no pidfd, or a closed handle), EINVAL
(no such signal or flag), ENOSYS, EPERM (see kill(2)), or ESRCH (the process
has ended and was waited for).

=head2 waitid

    ($pid, $uid, $code, $status) = waitid $idtype, $id, $options;
    $pid = waitid $idtype, $id, $options;

Waits for a child to change its state, and tells how. See waitid(2).

=over 4

=item $idtype, $id

Which children: P_PID and a process id; P_PIDFD and a pidfd, by a handle or
the number of a descriptor (Linux 5.4); P_PGID and the id of a process group,
0 for the caller's (Linux 5.4); P_ALL and anything, which is not looked at.

=item $options

Which changes: at least one of WEXITED, WSTOPPED and WCONTINUED, joined by
C<|> with what else L</PIDFD AND WAIT CONSTANTS> has.

=back

It returns the child's process id; the real user id that the child had; one of
the CLD_ constants, which say what has happened; and the exit status, or for
all but CLD_EXITED the signal. (For comparison: C<waitpid> puts these two into
C<$?>, which waitid does not touch.) In scalar context it returns the process
id alone. With WNOHANG, if no child has anything to tell, all four are 0: so
the list is not empty, but its process id is false.

If the kernel refuses it returns the empty list, in scalar context undef, and
sets C<$!>: EAGAIN (a pidfd with PIDFD_NONBLOCK, and nothing to tell), EBADF
(no descriptor, or a closed handle), ECHILD (there is no such child, or one
with another kind of exit signal: see __WALL), EINVAL (C<$idtype> or
C<$options> is wrong, C<$id> is no pidfd).

Without WNOHANG it sleeps until there is something to tell. As with
C<waitpid>, perl's signal handlers run meanwhile; then it sleeps on, unless
the handler dies. One that dies while it sleeps, even one of
C<POSIX::sigaction> that is not deferred, takes no child's status along. Also
as with C<waitpid>, a signal that arrives in the very moment in which the
sleep begins may be handled only when it ends.

=head2 setns

    $retval = setns $fh_or_fd;
    $retval = setns $fh_or_fd, $nstype;

Moves the calling thread into a namespace that exists. See setns(2), Linux
3.0.

=over 4

=item $fh_or_fd

A handle or descriptor (L</Handles and descriptors>) of a namespace's file, as
F</proc/PID/ns/net>, or what L</ns_get_userns> returns; or a pidfd, as from
L</pidfd_open> (Linux 5.8).

=item $nstype

With a file: the kind of namespace that it must be, a flag such as NEWNET; or
0, which is also what a literal C<undef> or nothing stands for: any kind. With
a pidfd: which of that process's namespaces to join, one or several such flags
joined by C<|>. It joins all of them or none.

=back

It returns 0, or -1 with C<$!>: EBADF (no descriptor, or a closed handle),
EINVAL (see below), EPERM (see below), ENOMEM, ENOSYS (an older kernel), ESRCH
(the pidfd's process has ended), or EUSERS (NEWTIME in a process with several
threads).

EINVAL is said of what is no namespace, or one of another kind; of a pidfd if
C<$nstype> has no flag, or one that is no namespace's; with NEWUSER of the
namespace that the caller is in, and in a process with several threads; with
NEWPID of a namespace that is neither the caller's nor below it; with NEWNS
and NEWUSER in a process that shares FS with another.

CAP_SYS_ADMIN is needed, or it is EPERM, both in the caller's user namespace
and in the one that owns the namespace; for NEWNS also CAP_SYS_CHROOT. A user
namespace may be joined by who has created it: that gives all capabilities
there, also for the other flags of the same call.

With NEWPID the caller stays where it is: its children from then on are in
that namespace. With NEWNS root and working directory become the root of the
mount namespace. See
L<Linux::Clone::Cookbook/Entering another process's namespaces>.

=head2 pivot_root

    $retval = pivot_root $new_root, $old_root;

Makes the mount at the directory C<$new_root> the root of the calling
process's mount namespace, and moves the old root to the directory
C<$old_root> below it. See pivot_root(2), which also tells how to get rid of
the old root: C<pivot_root('.', '.')> in C<$new_root> puts it on top of the
new one. Use it in a mount namespace of your own; afterwards C<chdir '/'>.

Both are names as C<chdir> takes them: strings, or objects that overload
C<"">. As everywhere in perl, characters above 255 are passed in UTF-8, as are
those from 128 to 255 if perl holds the string in that form. What names
nothing, and a name with a NUL, croaks.

It returns 0, or -1 with C<$!>: EBUSY (one of them is on the current root),
EINVAL (C<$new_root> is no mount point; C<$old_root> is not at or below it;
one of the mounts, or its parent, is shared; the current root is no mount
point, or is the rootfs), ENOENT, ENOTDIR, ENAMETOOLONG and the like from
looking up a name, or EPERM (no CAP_SYS_ADMIN).

=head2 kcmp

    $order = kcmp $pid1, $pid2, $type;
    $order = kcmp $pid1, $pid2, $type, $idx1, $idx2;

Compares something of two processes: whether both have the same. See kcmp(2),
Linux 3.5, in a kernel with CONFIG_KCMP.

=over 4

=item $pid1, $pid2

Process ids, or thread ids, in the caller's PID namespace. They may be equal.

=item $type

What is compared, one of the L</KCMP CONSTANTS>.

=item $idx1, $idx2

With KCMP_FILE a descriptor of C<$pid1> and one of C<$pid2>. With
KCMP_EPOLL_TFD a descriptor of C<$pid1>; and what it is compared to: the 12
bytes of a C<struct kcmp_epoll_slot>, or, as a number, the address of one.
C<pack 'L3', $efd, $tfd, 0> makes it: C<$efd> is a descriptor of C<$pid2> that
epoll_create(2) made, C<$tfd> the number that was added to it; where it has
several of that number, the third says which.

A descriptor is a handle or a number: L</Handles and descriptors>. That of
another process is a number, or a handle which has the same number here.

For all other types they are integers that the kernel ignores. Not given, or
a literal C<undef>, they are 0.

=back

It returns 0 if both are the same; 1 if the first is less than the second, 2
if it is greater (by an order without further meaning, for sorting); 3 if they
differ and there is no order. Or -1 with C<$!>: EBADF (no such descriptor),
EFAULT (no such address), EINVAL (no such type), ENOENT (epoll does not watch
that), ENOSYS (the kernel has no kcmp), EPERM (the caller may not trace both:
see ptrace(2)), or ESRCH (there is no such process).

=head2 siocsifflags

    $retval = siocsifflags $ifname;
    $retval = siocsifflags $ifname, $flags;

Sets the flags of a network interface of the caller's network namespace. See
netdevice(7), SIOCSIFFLAGS.

C<$ifname> is the interface's name, 1 to 15 bytes, as a string or an object
that overloads C<"">. C<$flags> are L</INTERFACE FLAGS> joined by C<|>, 16
bits: the interface has these afterwards, and of those that can be set no
other. Without C<$flags>, or with a literal C<undef>, it is brought up
(IFF_UP), and its other flags stay.

It returns 0, or -1 with C<$!>: EAFNOSUPPORT (a kernel without IPv4), EMFILE
or ENFILE (no descriptor is left for a socket, which the call closes again),
ENODEV (no such interface), EPERM (no CAP_NET_ADMIN in the user namespace that
owns the network namespace), or what the interface's driver says.

=head2 configure_loopback

    configure_loopback;

Brings lo up, the loopback interface of the caller's network namespace, and
sees to it that it has the address 127.0.0.1 with the mask 255.0.0.0. In a new
network namespace it is down, and nothing on the machine can be reached. Where
the kernel has IPv6 lo gets ::1, too. Other addresses stay. It does no harm to
call it again.

It returns 0. Where the kernel refuses it dies, as that of version 1.3, with
C<$!> set: no script goes on without a network.

=head2 ns_get_userns

    $fd = ns_get_userns $fh_or_fd;

Returns a new descriptor of the user namespace that owns a namespace; for a
user namespace that is its parent. C<$fh_or_fd> is a handle or descriptor of a
namespace's file, as for L</setns>. See ioctl_nsfs(2), NS_GET_USERNS, Linux
4.9.

The descriptor is a number, close-on-exec, and the caller's to close
(C<POSIX::close>).

On failure this function and the next three return -1, and C<$!> is EBADF (no
descriptor, or a closed handle), EINVAL (a namespace of a kind that does not
have this), EMFILE, ENFILE, ENOTTY (no namespace, or an older kernel), or
EPERM (the answer is a namespace that the caller is not in and that is not
below its own).

=head2 ns_get_parent

    $fd = ns_get_parent $fh_or_fd;

Returns a new descriptor, likewise, of the parent of a PID or user namespace.
Linux 4.9.

=head2 ns_get_nstype

    $nstype = ns_get_nstype $fh_or_fd;

Returns the kind of a namespace, as the flag from L</Namespaces>: NEWNET for a
network namespace. Linux 4.11.

=head2 ns_get_owner_uid

    $uid = ns_get_owner_uid $fh_or_fd;

Returns the user id of who created a user namespace, as the caller's user
namespace has it (the overflow uid, mostly 65534, if it does not have it): 0
to 4294967294, so that -1 is never a user. Linux 4.11.

=head2 Handles and descriptors

Where a function takes a descriptor it takes its number, or whatever
L<perlfunc/fileno> takes for a handle: a glob, a reference to one, an IO
object such as L<IO::File>'s, an object that overloads C<*{}>, a bareword or a
string that names a handle; also a directory handle. A tied handle is asked by
its method FILENO. A handle without a descriptor, since it is closed or in
memory, is an error of the system, EBADF, not an exception.

Numbers go to the kernel as they are. So does -1, which is EBADF or EINVAL
there. Since Linux 6.17 two negative ones mean something, to pidfd_send_signal
alone: -10000 is the calling thread, -10001 the calling process (PIDFD_SELF).

=head2 Errors

These are the values that C<$!> gets from the kernel, with clone and unshare
alike if neither is named.

=over 4

=item EAGAIN

clone: too many processes, by a limit of the user (RLIMIT_NPROC), of the
control group or of the system.

=item EDEADLK

clone, clone3, spawn: other threads held locks each time, as L</THREADS> says.

=item EINVAL

Flags that exclude each other, that lack another which they need, or whose
kind of namespace this kernel is built without: see L</FLAGS>.

clone: also PARENT in a process that is pid 1, and NEWPID or THREAD after
C<unshare> with NEWPID. unshare: also a bit that it does not know, a second
NEWPID, and NEWUSER, THREAD, SIGHAND or VM in a process with several threads.

=item EMFILE, ENFILE

clone, clone3: no descriptor is left for PIDFD; the process, or the system,
has too many open.

=item EBADF, EBUSY, EEXIST, ENOENT, EOPNOTSUPP

clone3: C<cgroup> is no descriptor of a control group (EBADF), or of one that
takes no processes (EBUSY), that has been removed (ENOENT), or whose type is
C<domain invalid>, since a neighbour is threaded (EOPNOTSUPP); a thread id of
C<set_tid> is taken (EEXIST).

=item ENOMEM

No memory for the child, or for what is copied.

clone: also no room for the stack, which includes a C<$stacksize> beyond any
address space, and a child for a PID namespace whose pid 1 has ended.

=item ENOSPC

Namespaces are nested too deeply (32 levels of PID and of user namespaces), or
a limit in F</proc/sys/user> is reached. Linux before 4.9 said EUSERS of user
namespaces.

=item ENOSYS

This kernel has no such system call; or a filter says so.

=item EPERM

A new namespace without the privilege for it: every kind but NEWUSER needs
CAP_SYS_ADMIN, or NEWUSER in the same call. With NEWUSER: the caller's
effective user or group is not mapped in its own user namespace, or it is in a
chroot. Where the administrator keeps users from user namespaces, the answer
is EPERM, EACCES or ENOSPC, according to how.

A filter of system calls (seccomp(2)), as containers have it, mostly says
EPERM as well. Some are older than clone3 and the pidfds, and forbid them.

=back

=head1 FLAGS

Each of these is a constant C<Linux::Clone::NAME>, and C<CLONE_NAME> for
export, with its value in F<linux/sched.h>. "Linux 2.0" and the like say since
which kernel a flag works in clone(2). Flags marked "unshare" work there too,
since Linux 2.6.16 if no other version is named; unshare answers EINVAL to all
others. A flag that lacks what it needs, or meets what it excludes, makes the
kernel answer EINVAL, unless it says that it croaks.

=head2 Namespaces

Each of these, except NEWUSER, needs the capability CAP_SYS_ADMIN in the
caller's user namespace; NEWUSER in the same call provides it.

=over 4

=item NEWNS

A new mount namespace, a copy of the caller's. Linux 2.4.19, unshare (which
does FS too). Not with FS in clone. See mount_namespaces(7).

=item NEWUTS

A new UTS namespace: host name and NIS domain name, copied. Linux 2.6.19,
unshare (2.6.19). See uts_namespaces(7).

=item NEWIPC

A new IPC namespace: System V IPC objects and POSIX message queues, none at
first. Linux 2.6.19, unshare (2.6.19; does SYSVSEM too). Not with SYSVSEM in
clone. See ipc_namespaces(7).

=item NEWNET

A new network namespace, with a loopback interface that is down. Linux 2.6.24,
complete in 2.6.29, unshare (2.6.24). See network_namespaces(7).

=item NEWUSER

A new user namespace, in which the child (with unshare: the caller) has all
capabilities. Usable since Linux 3.8, unshare (3.8; does FS too). Needs no
privilege since 3.8. Not with FS or THREAD; unshare refuses it to a process
with several threads. See user_namespaces(7).

=item NEWPID

A new PID namespace, in which the child is pid 1. Linux 2.6.24, unshare (3.8;
moves the caller's later children, not the caller, and once only). Not with
THREAD. Croaks with SIGHAND, which says why. See pid_namespaces(7).

=item NEWCGROUP

A new cgroup namespace, whose root is the control group that the caller is in.
Linux 4.6, unshare (4.6). See cgroup_namespaces(7).

=item NEWTIME

A new time namespace: offsets of the monotonic and the boot-time clock. Linux
5.6, unshare (5.6; moves the caller's later children, not the caller) and
clone3. Its bit lies in CSIGNAL, so clone croaks. See time_namespaces(7).

=back

=head2 Sharing with the parent

Without these the child gets a copy, or an empty list, of its own.

=over 4

=item FILES

Share the table of file descriptors: what one process opens, closes or
redirects, the other finds so. Linux 2.0, unshare (stop sharing). An exec ends
it. See L</CAVEATS> for perl's handles.

=item FS

Share root directory, working directory and umask: C<chdir>, C<chroot> and
C<umask> act on both processes. Linux 2.0, unshare (stop sharing). Not with
NEWNS or NEWUSER in clone.

=item SYSVSEM

Share the list of System V semaphore adjustments, which semop(2) makes with
SEM_UNDO and which are undone when the last process that shares them ends.
Linux 2.5.10, unshare (2.6.26, stop sharing). Not with NEWIPC in clone.

=item IO

Share the I/O context: the disk scheduler treats both processes as one. Linux
2.6.25.

=item VM

Share the memory. Linux 2.0. In clone only with VFORK, else it croaks: two
processes would run in one interpreter at once. Croaks with SETTLS. See
L<Linux::Clone::SharedMemory>. unshare accepts it in a process of one thread,
without effect.

=item SIGHAND

Share the table of signal handlers. Linux 2.0. Needs VM. In the child all
signals stay blocked until it execs or ends. Not with CLEAR_SIGHAND. Croaks
with NEWPID: when process 1 of a namespace ends the kernel ignores SIGCHLD for
all who share the table, so that the parent could wait for nobody any more.
unshare accepts it in a
process of one thread, without effect.

=item THREAD

Start a thread of the caller's process instead of a process. Linux 2.4.0.
Needs SIGHAND and VM. Not with NEWPID or NEWUSER. It runs and ends before
clone returns: see L<Linux::Clone::SharedMemory>; L<threads> has others.
unshare accepts it in a process of one thread, without effect.

=back

=head2 Parent and child

=over 4

=item VFORK

The parent sleeps until the child execs or ends; meanwhile only SIGKILL
reaches it. Linux 2.2. Without VM the memory is not shared, and all else is as
ever; but the sleeping thread holds perl's locks, so that other threads wait
for them, at their next C<open>, C<close> or C<localtime> at the latest. With
VM see L<Linux::Clone::SharedMemory>.

=item PARENT

The child's parent is the caller's parent, which gets the caller's own exit
signal when the child ends, and which alone can wait for it. Linux 2.3.12;
together with NEWPID or NEWUSER, 3.13. A process that is pid 1 gets EINVAL.

=item PIDFD

C<$ptid>, which must be given, receives a descriptor of the child: see
pidfd_open(2). It has the close-on-exec flag. Linux 5.2. Not with DETACHED; in
clone not with PARENT_SETTID, which wants the same place. With THREAD it takes
a recent kernel.

=item INTO_CGROUP

Start the child in a control group. clone3 only: its key C<cgroup> sets it.
Linux 5.7.

=item CLEAR_SIGHAND

Handlers that are functions are reset to default in the child, as by exec;
what C<%SIG> says there does not change. clone3 only. Linux 5.5. Not with
SIGHAND.

=item PARENT_SETTID

C<$ptid> receives the child's thread id. Linux 2.5.49. In clone not with
PIDFD. The module sets C<$ptid> anyway.

=item CSIGNAL

No flag but the mask, 0xff, of the exit signal's place in the flags. It is
exported under this name.

=back

=head2 Tracing

=over 4

=item PTRACE

If the caller is traced, its tracer traces the child too. Linux 2.2. See
ptrace(2).

=item UNTRACED

A tracer cannot force PTRACE on this child. Linux 2.5.46.

=back

=head2 For thread libraries

=over 4

=item SETTLS

Set the child's thread-local storage to C<$tls>. Linux 2.5.32. Croaks with VM:
one interpreter would have two of them.

=item CHILD_SETTID

Store the child's thread id in the child's memory at C<$ctid>. Linux 2.5.49.

=item CHILD_CLEARTID

Clear the thread id at C<$ctid> in the child's memory when the child lets go
of that, and wake who waits there with futex(2). The kernel does so only where
somebody else shares the memory: with VM. A copy's own memory goes without,
even where the word is in a mapping that others share. Linux 2.5.49.

=item DETACHED

Without effect in clone since Linux 2.6.0. Not with PIDFD. clone3 refuses it,
even alone.

=back

=head1 PIDFD AND WAIT CONSTANTS

Each of these is a constant C<Linux::Clone::NAME>, and is exported under the
same name, by the tag C<:wait>. The values are Linux's. POSIX has a WNOHANG
too, and exports it if it is not told what to export: name what you want of
L<POSIX>, as L<Linux::Clone::Cookbook> does, or perl warns of the second
one.

=head2 Which children

=over 4

=item P_PID

The one with this process id.

=item P_PGID

Those of this process group.

=item P_ALL

All.

=item P_PIDFD

The one of this pidfd. Linux 5.4.

=back

=head2 Which changes, and how to wait

=over 4

=item WEXITED

Children that have ended.

=item WSTOPPED

Children that a signal has stopped.

=item WCONTINUED

Children that SIGCONT has continued. Linux 2.6.10.

=item WNOHANG

Do not sleep.

=item WNOWAIT

Leave the child as it is: the next call tells the same.

=item __WALL

All children. Without it (and without __WCLONE) only those whose exit signal
is SIGCHLD are found. C<waitpid> takes this and the next two, too. waitid
takes all three since Linux 4.7.

=item __WCLONE

Only children whose exit signal is not SIGCHLD. Without effect with __WALL.

=item __WNOTHREAD

Only children of the calling thread, not those of other threads.

=back

=head2 What has happened

=over 4

=item CLD_EXITED

It has exited, with this status.

=item CLD_KILLED

This signal has killed it.

=item CLD_DUMPED

This signal has killed it, and a core was dumped.

=item CLD_STOPPED

This signal has stopped it.

=item CLD_TRAPPED

It is traced, and has trapped: see ptrace(2).

=item CLD_CONTINUED

SIGCONT has continued it.

=back

=head2 For pidfds

=over 4

=item PIDFD_NONBLOCK

pidfd_open: waitid does not sleep on this descriptor. Linux 5.10.

=item PIDFD_THREAD

pidfd_open: C<$pid> is a thread's id. Linux 6.9.

=item PIDFD_SIGNAL_THREAD

pidfd_send_signal: to the thread of the pidfd. Linux 6.9, as the next two.

=item PIDFD_SIGNAL_THREAD_GROUP

To the process.

=item PIDFD_SIGNAL_PROCESS_GROUP

To all of the process group that the pidfd's process leads.

=back

=head1 KCMP CONSTANTS

Each of these is a constant C<Linux::Clone::NAME>, and is exported under the
same name, by the tag C<:kcmp>. They are what L</kcmp> compares, and mostly
what a flag of clone shares.

=over 4

=item KCMP_FILE

Two descriptors: whether they are copies of one, by C<dup>, C<fork> or a
socket, so that they have one position in the file.

=item KCMP_VM

The memory: VM.

=item KCMP_FILES

The table of descriptors: FILES.

=item KCMP_FS

Root directory, working directory and umask: FS.

=item KCMP_SIGHAND

The signal handlers: SIGHAND.

=item KCMP_IO

The I/O context: IO. Two processes that have none are equal.

=item KCMP_SYSVSEM

The System V semaphore adjustments: SYSVSEM. Two processes that have none are
equal.

=item KCMP_EPOLL_TFD

A descriptor, and one that epoll(7) watches. Linux 4.13.

=back

=head1 NAMESPACE CONSTANTS

Requests of ioctl_nsfs(2), for perl's C<ioctl>. C<Linux::Clone::NAME>, and by
the tag C<:ns>. L</ns_get_userns> and the functions that follow it make these
requests, and are easier to use: C<ioctl> returns C<0 but true> for 0, and
undef for failure.

=over 4

=item NS_GET_USERNS

    $fd = ioctl $fh, NS_GET_USERNS, 0;

=item NS_GET_PARENT

    $fd = ioctl $fh, NS_GET_PARENT, 0;

=item NS_GET_NSTYPE

    $nstype = ioctl $fh, NS_GET_NSTYPE, 0;

=item NS_GET_OWNER_UID

    ioctl $fh, NS_GET_OWNER_UID, my $packed = pack 'L', 0;
    $uid = unpack 'L', $packed;

=item NS_OWNER_UID

Another name of that, from version 1.3.

=back

=head1 INTERFACE FLAGS

The flags of a network interface that can be set: C<Linux::Clone::NAME>, and
by the tag C<:net>. See netdevice(7). An interface has others, such as
IFF_LOOPBACK, which tell something about it; L</siocsifflags> ignores those.

=over 4

=item IFF_UP

It is up: packets come and go.

=item IFF_DEBUG

The driver tells more.

=item IFF_NOTRAILERS

Without effect.

=item IFF_NOARP

No ARP: the addresses of neighbours are not asked for.

=item IFF_PROMISC

It receives all packets, whoever they are for.

=item IFF_ALLMULTI

It receives all multicasts.

=item IFF_MULTICAST

It can do multicast.

=item IFF_PORTSEL

It can choose among media.

=item IFF_AUTOMEDIA

It chooses the medium itself.

=item IFF_DYNAMIC

Its addresses are lost when it goes down.

=back

=head1 THE CHILD

The child starts as a copy of its parent, like a forked one, and calls the
coderef. It never runs the code that follows the call of clone.

=over 4

=item The coderef returns a value

The child exits with the value's low eight bits: C<sub { 77 }> exits with 77,
C<sub { -1 }> with 255. undef and the empty list are 0. The value is evaluated
once; a string that is no number warns as perl does, under C<use warnings>
where clone is called.
Output is flushed. END blocks do not run, and neither do destructors, apart
from those of objects which went with the coderef's own scope.

=item It dies

perl prints what it prints for an uncaught exception to STDERR,
C<$SIG{__DIE__}> and exception objects included, and the child exits with
perl's status for it: C<$!> if that is not 0, else C<<< $? >> 8 >>> if that is
not 0, else 255. No C<eval> of the caller sees it. END blocks and destructors
run, as in a forked child that dies.

=item It calls exit

The child exits with that status, from any depth, through any C<eval>. Output
is flushed; END blocks and destructors run, as in a forked child that exits.
C<POSIX::_exit> skips all of that, as ever.

=item It execs, or is killed

As for any process.

=item It tries to leave by last, next, redo or goto

It cannot: loops and labels of the caller do not exist for it. perl says so
(C<Can't "last" outside a loop block>), and the child dies of it unless it
catches that. C<return> returns from the coderef.

=back

=head2 Output

All of the parent's handles are flushed before the child starts, as perl does
before C<fork>, so that nothing buffered is written twice. If the child
returns but its standard output cannot be written, it says so and exits with
255 instead of 0.

=head2 Signals

Signals are blocked around the call. The child starts with the signal mask and
the handlers that the parent had when it called, and with nothing pending.

When the child ends, its parent gets the exit signal. A parent that does not
handle it gets the default, which for SIGUSR1 and most others is death; the
default of SIGCHLD is to ignore it. An exec in the child sets the exit signal
to SIGCHLD.

=head2 Process ids

C<$$>, C<getppid> and C<$0> are right in the child. With NEWPID the child has
pid 1, its C<getppid> is 0, and it has the duties of an init: it inherits the
orphans of its namespace and must wait for them; the kernel keeps signals from
it, even SIGKILL, that come from inside of the namespace and for which it has
no handler; and when it ends, all of its namespace is killed.

=head2 What it may do

Anything: clone, fork, exec, unshare, start threads. What it changes in perl's
memory the parent does not see.

=head1 THREADS

clone works in any thread of L<threads>. In the child only the calling thread
exists, with its interpreter and its C<< threads->tid >>; C<exit> there ends
the child, not some thread, after that thread's own END blocks. To join a
thread that exists in the parent only waits for ever. perl's own locks are
held around the call, so that the child finds perl consistent: those that
C<fork> holds, that of the environment, which C<localtime> takes, and that of
hints (L<perlpragma>), which C<eval> of a string takes.

A child outlives the thread that started it, and any thread may wait for it;
with C<parent_death> it gets its signal when that thread ends.

Only the C library's own fork(3) can hold its locks while the process is
copied: those of malloc, glibc's or another that keeps them for fork(3), of
stdio, of the dynamic loader and of F<nsswitch.conf>. So, where there are
other threads, clone and spawn with C<code> copy the process by fork(3), and
handlers of pthread_atfork(3) run. With namespaces, or with what else only
the system call can say, the copy is a process between: it starts the child
with PARENT added, so that this is the caller's own, and ends before clone
returns. The caller may get a SIGCHLD for it, C<wait> in another thread and
handlers that reap all children may find it, and limits count it for that
moment. What becomes of its status does not matter to clone. The child waits
until that process has ended, and with PIDFD until the descriptor is open, or
ends if the caller dies. If a signal handler dies meanwhile, which only one
can that is not deferred (L<perlipc>), there is no child.

That SIGCHLD comes to the thread that called clone. One that comes while a
thread of perl's blocks signals, as each does while it starts a child, may go
to another thread; and perl ends the program, as with C<fork>, if that thread
has no handler and the process has one. So set C<$SIG{CHLD}> in each thread,
or in none.

A process with one thread, which most are, does none of this, and nor does a
child that shares memory.

Some children fork(3) cannot make: with FILES, FS, IO, SYSVSEM, PARENT,
PTRACE, SETTLS, VFORK|PIDFD or C<set_tid>, with another exit signal than
SIGCHLD, and with new namespaces after C<unshare> with NEWPID, whose next
child is process 1.
These are started by clone(2), which holds perl's locks only. Such a child
takes and gives back each of the C library's locks before the coderef runs;
one that gets stuck ends after some milliseconds, with a SIGCHLD, and clone
starts another. If ten in a row get stuck, clone fails with EDEADLK. It is not
done for a child with PARENT, for one with an exit signal that is neither
SIGCHLD nor 0, and for process 1 of the namespace that C<unshare> has ordered:
those cannot be replaced, and can hang if another thread was inside of malloc.

Any child can hang that needs a lock which nobody sets free: those of XS
modules, and those of libraries, unless they rely on pthread_atfork(3) and the
child is fork's. In a child of C<fork>, too, that goes for the C library's
lock of the time zone, which C<POSIX::strftime> takes, and C<localtime> before
perl 5.32, and for the locks of L<threads::shared> and L<threads>: while
another thread starts or ends, do not start a thread in a child, and of the
main thread's children let none call C<exit> or die. A child that soon calls
C<exec> needs none of them.

getpid(2) is right in the child. So is the thread id that the C library keeps
for its own use, if the kernel can say where that is kept (prctl(2),
PR_GET_TID_ADDRESS): the kernel puts the child's own there, as for fork(3).

unshare acts on the calling thread alone. Other threads stay in the namespaces
that they were in.

=head1 STACK

The child's C stack is a new mapping: private, readable and writable, not
executable, of fixed size. perl keeps its own data elsewhere: recursion of
plain perl subs does not use it; nested calls through C<sort>, C<tie>,
overloading, C<require> and some modules do.

Its size is C<$stacksize> rounded up to whole pages: by default 4 MiB, at
least 256 KiB. Address space is taken at once, memory only for what is
touched. Of the limits of setrlimit(2) RLIMIT_STACK does not apply; RLIMIT_AS
does, and ends in ENOMEM.

Below it lies a guard of 1 MiB that nobody can touch, as much as the kernel
leaves below the stack of a process. A child that outgrows its stack is killed
by SIGSEGV and touches nothing else.

The parent unmaps its view of the stack before clone returns, whatever fails;
but each thread keeps one of the default size, for its next child.

=head1 SECURITY

Descriptors of this module are close-on-exec from the moment they are made,
whatever C<$^F> says: a program has 0, 1 and 2, and what the caller has left
open for it.

Of the environment spawn trusts what C<exec> does: the PATH in which it looks
for the program. newuidmap(1) and newgidmap(1) must be in F</usr/bin>,
F</bin>, F</usr/local/bin> or F</run/wrappers/bin>, and get an environment of
their own. Maps are written only where F</proc> is proc(5), and only to the
child's own; C<mount_proc> in a new root follows no link.

A child that becomes another user, since C<uid_map> does not have the caller's
id, is a copy of its parent at first. Until a program runs in it processes of
that user cannot trace it, or read its memory. With C<code> they can: it owns
its F</proc/self>, as any child does. Keep no secrets in such a parent.

A user namespace takes nothing away by itself. Files outside belong to whom
they belonged to: with C<< uid_map => 'root' >> by root, root inside is root
outside, and may write every file that it sees. Map other users, or give it
another C<root>. Supplementary groups stay, with what they may read and write,
though inside they have no names; only a child that becomes another user loses
them.

A child has its caller's session and terminal. It can read what is typed
there, and on systems that allow it (F</proc/sys/dev/tty/legacy_tiocsti>) put
words into the terminal's input, which the caller's shell reads: see
ioctl_tty(2), TIOCSTI. Let what you do not trust start a session of its own,
C<POSIX::setsid> or setsid(1), and give it other descriptors than the
terminal's.

C<parent_death> is for the child alone. What that has started outlives it,
unless it is in a PID namespace (NEWPID), which ends with its process 1.

With C<cwd> a program whose name has a slash but does not begin with one is
looked up in that directory, and so are the elements of PATH that are empty or
relative. Who may write there chooses the program.

Taint mode (perl's switch -T, see L<perlsec>): the functions that change
something outside of the program refuse tainted arguments, all of them, as
perl's own functions do. These are clone, clone3, spawn with its options and
what is in them, unshare, setns, pidfd_send_signal, pivot_root, siocsifflags,
and the methods C<kill>, C<terminate> and C<kill_on_destroy> of
L<Linux::Clone::Child>. The others only tell something, and take them. A
program that spawn starts with the caller's environment needs one that is not
tainted, as one of perl's C<exec> does: C<$ENV{PATH}> and the others that
L<perlsec> names; with C<env> the values there count instead. For a coderef
perl watches in the child.

=head1 EXPORTS

Nothing by default. On request:

    use Linux::Clone qw(clone spawn unshare waitid);
    use Linux::Clone qw(pidfd_open pidfd_send_signal);
    use Linux::Clone qw(CLONE_NEWNS CLONE_NEWPID P_ALL WEXITED);
    use Linux::Clone qw(:flags :wait);
    use Linux::Clone qw(:kcmp :ns :net setns kcmp configure_loopback);

C<:wait> exports L</PIDFD AND WAIT CONSTANTS>, C<:kcmp> the
L</KCMP CONSTANTS>, C<:ns> the L</NAMESPACE CONSTANTS> and C<:net> the
L</INTERFACE FLAGS>. C<:flags> exports all L</FLAGS>, as CLONE_FILES, CLONE_FS
and so on, and CSIGNAL. The names without CLONE_ are not exported: few
programs want a sub that is called C<IO> or C<VM>. They are called as
C<Linux::Clone::IO>. Functions are in no tag.

Constants have the prototype C<()> and are folded when perl compiles.

=head1 DIAGNOSTICS

All of these are exceptions unless said otherwise. The text goes on with C<at
FILE line N.> In it C<%s> stands for what the function got, as in C<undef>,
C<the string "x"> or C<a reference to an ARRAY>.

=over 4

=item Linux::Clone::clone: $coderef must be a CODE reference or the name of a defined sub, not %s

Also for a sub that is declared but not defined, and for an object without
C<&{}>.

=item Linux::Clone::clone: $stacksize must be an integer, not %s

=item Linux::Clone::clone: $flags must be an integer, not %s

=item Linux::Clone::unshare: $flags must be an integer, not %s

Text, a fraction, a reference, a glob, an infinity; for C<$flags> also undef.
Often it is the name of a flag in quotes.

=item Linux::Clone::spawn: an odd number of arguments: options are names and values

=item Linux::Clone::spawn: there is no option "%s"

=item Linux::Clone::spawn: the name of an option must be a string, not %s

Perhaps the options were passed as a reference to a hash, as clone3 takes
them.

=item Linux::Clone::spawn: it is a function, not a method: call Linux::Clone::spawn

It was called as C<< Linux::Clone->spawn(...) >>.

=item Linux::Clone::spawn: it needs code or exec

=item Linux::Clone::spawn: code and exec exclude each other

=item Linux::Clone::spawn: %s is for exec, not for code

C<cwd>, C<env>, C<stdin>, C<stdout> or C<stderr>. A coderef can do that
itself.

=item Linux::Clone::spawn: exit_signal is for code: the kernel makes that of a program SIGCHLD

=item Linux::Clone::spawn: flags may not have %s

Flags that say what is shared, or that spawn sets itself. PIDFD is always on.

=item Linux::Clone::spawn: flags has an exit signal: that is the option exit_signal

=item Linux::Clone::spawn: flags has unknown bits: %#x

=item Linux::Clone::spawn: exec must be a reference to an array of a program and its arguments, not %s

=item Linux::Clone::spawn: exec is empty: it needs a program

=item Linux::Clone::spawn: element %d of exec is undef

=item Linux::Clone::spawn: %s must be a string, not %s

=item Linux::Clone::spawn: %s has a NUL: %s

C<exec>, C<root>, C<cwd> or C<hostname>.

=item Linux::Clone::spawn: env must be a reference to a hash, not %s

=item Linux::Clone::spawn: env has a wrong name: %s

An empty one, or one with a C<=>.

=item Linux::Clone::spawn: env has a value that is no string: that of %s

=item Linux::Clone::spawn: env has a NUL: in %s

=item Linux::Clone::spawn: %s must be 'root', 'self' or a reference to an array of rows [inside, outside, count], not %s

=item Linux::Clone::spawn: %s has a row that is empty, or ends above all ids: [%d, %d, %d]

=item Linux::Clone::spawn: time_offsets must be a reference to a hash, not %s

=item Linux::Clone::spawn: time_offsets knows monotonic and boottime, not "%s"

=item Linux::Clone::spawn: time_offsets must have seconds for %s, not %s

=item Linux::Clone::spawn: hostname has %d bytes, but 64 are the most

Options of spawn. Those that clone and clone3 have too have the messages of
these, with the name of the option.

=item Linux::Clone::Child::%s: $seconds must be a number of seconds, 0 or more, not %s

A time of wait, kill_on_destroy or terminate: see L<Linux::Clone::Child>.

=item Linux::Clone::pidfd_open: $pid must be an integer, not %s

=item Linux::Clone::pidfd_open: $flags must be an integer, not %s

=item Linux::Clone::pidfd_send_signal: $flags must be an integer, not %s

=item Linux::Clone::waitid: $idtype must be an integer, not %s

=item Linux::Clone::waitid: $id must be an integer, not %s

=item Linux::Clone::waitid: $options must be an integer, not %s

=item Linux::Clone::setns: $nstype must be an integer, not %s

=item Linux::Clone::kcmp: $pid1 must be an integer, not %s

=item Linux::Clone::kcmp: $pid2 must be an integer, not %s

=item Linux::Clone::kcmp: $type must be an integer, not %s

=item Linux::Clone::kcmp: $idx1 must be an integer, not %s

=item Linux::Clone::kcmp: $idx2 must be an integer, not %s

=item Linux::Clone::siocsifflags: $flags must be an integer, not %s

Likewise. A handle is no process id: that of its pidfd takes P_PIDFD.

=item Linux::Clone::pidfd_send_signal: $pidfd must be a handle or the number of a descriptor, not %s

=item Linux::Clone::waitid: $id must be a handle or the number of a descriptor, not %s

=item Linux::Clone::setns: $fh_or_fd must be a handle or the number of a descriptor, not %s

=item Linux::Clone::ns_get_%s: $fh_or_fd must be a handle or the number of a descriptor, not %s

=item Linux::Clone::kcmp: $idx1 must be a handle or the number of a descriptor, not %s

=item Linux::Clone::kcmp: $idx2 must be a handle or the number of a descriptor, not %s

See L</Handles and descriptors>. A string that names no handle is none.

=item Linux::Clone::kcmp: $idx2 must be the 12 bytes of a struct kcmp_epoll_slot, or their address, not %s

With KCMP_EPOLL_TFD. A number is an address.

=item Linux::Clone::pivot_root: $new_root must be the name of a directory, not %s

=item Linux::Clone::pivot_root: $old_root must be the name of a directory, not %s

undef, a glob, or a reference that does not overload C<"">.

=item Linux::Clone::pivot_root: $new_root has a NUL: %s

=item Linux::Clone::pivot_root: $old_root has a NUL: %s

The kernel would take the NUL for the end of the name.

=item Linux::Clone::siocsifflags: $ifname must be the name of an interface, 1 to 15 bytes without a NUL, not %s

=item Linux::Clone::pidfd_send_signal: $sig must be the number or the name of a signal, not %s

=item Linux::Clone::clone: $stacksize is negative: %d

=item Linux::Clone::clone: $flags is out of range: %s

=item Linux::Clone::unshare: $flags is out of range: %s

More than 64 bits.

=item Linux::Clone::pidfd_open: $pid is out of range: %s

=item Linux::Clone::pidfd_open: $flags is out of range: %s

=item Linux::Clone::pidfd_send_signal: $pidfd is out of range: %s

=item Linux::Clone::pidfd_send_signal: $sig is out of range: %s

=item Linux::Clone::pidfd_send_signal: $flags is out of range: %s

=item Linux::Clone::waitid: $idtype is out of range: %s

=item Linux::Clone::waitid: $id is out of range: %s

=item Linux::Clone::waitid: $options is out of range: %s

=item Linux::Clone::setns: $fh_or_fd is out of range: %s

=item Linux::Clone::setns: $nstype is out of range: %s

=item Linux::Clone::ns_get_%s: $fh_or_fd is out of range: %s

=item Linux::Clone::kcmp: $pid1 is out of range: %s

=item Linux::Clone::kcmp: $pid2 is out of range: %s

=item Linux::Clone::kcmp: $type is out of range: %s

=item Linux::Clone::kcmp: $idx1 is out of range: %s

=item Linux::Clone::kcmp: $idx2 is out of range: %s

=item Linux::Clone::siocsifflags: $flags is out of range: %s

More than 32 bits; or a negative number as C<$flags>, C<$options> or
C<$nstype>. For siocsifflags 16 bits. For kcmp's indices, where they are no
descriptors, 64 bits, or what is no address.

=item Linux::Clone::clone: $flags has bits above the 32 that clone(2) reads: %#x

Also for a negative number. The old system call would drop these bits without
a word.

=item Linux::Clone::clone: the exit signal in $flags is %d, but signals end at 64

The low byte of C<$flags> is the exit signal.

=item Linux::Clone::clone: clone(2) has no NEWTIME: its bit belongs to the exit signal; use unshare or clone3

=item Linux::Clone::clone: VM without VFORK would run two processes in one interpreter at once; use VM|VFORK, or leave VM out

See L<Linux::Clone::SharedMemory>.

=item Linux::Clone::clone: VM|VFORK does not share memory here (valgrind, an emulator): the child would have a copy; leave both out

Some programs that run others (valgrind(1), emulators of other machines) make
a fork(2) of it, and let the parent run on. The coderef has not been called.
spawn takes a copy there.

=item Linux::Clone::clone: SETTLS with VM would give one interpreter two thread-local storages; leave one of them out

=item Linux::Clone::clone: SIGHAND with NEWPID would make the parent ignore SIGCHLD when the child ends; leave SIGHAND out

=item Linux::Clone::clone: SETTLS needs $tls

=item Linux::Clone::clone: $tls is no address in memory: %s

=item Linux::Clone::clone: $tls must be the 16 bytes of a struct user_desc, not %s

The last one on i386 only.

=item Linux::Clone::clone: %s needs $ctid

CHILD_SETTID or CHILD_CLEARTID.

=item Linux::Clone::clone: $ctid is no address of a word in memory: %s

=item Linux::Clone::clone: $ctid is neither a variable nor an address: %s

See L</clone> for what it may be.

=item Linux::Clone::clone: $ptid cannot be assigned to: it is read-only or a glob (%s)

A constant or a literal stands where clone wants to store the thread id. A
variable whose magic refuses, like C<$1>, croaks with perl's own message.

=item Linux::Clone::clone: PIDFD needs $ptid: it receives the descriptor

=item Linux::Clone::clone3: the second argument must be a reference to a hash, not %s

=item Linux::Clone::clone3: there is no "%s" in struct clone_args

=item Linux::Clone::clone3: %s must be a reference to a scalar, not %s

=item Linux::Clone::clone3: set_tid must be a reference to an array of thread ids, not %s

=item Linux::Clone: a thread id at an address is not for a child of a child that shares memory; use a variable

=item Linux::Clone::clone3: child_tid must be a reference to a scalar or an address, not %s

=item Linux::Clone::clone3: VM needs a stack of the child's own; here only clone gives it

On other architectures than x86-64 and aarch64.

=item Linux::Clone::clone3: %s needs %s

A flag is given without the key that has its value. clone3 has the messages of
clone, too, with the key in the place of the variable.

=item Usage: Linux::Clone::clone3(coderef, \%clone_args)

=item Usage: Linux::Clone::clone(coderef, stacksize, flags, ptid = undef, tls = undef, ctid = undef)

=item Usage: Linux::Clone::unshare(flags)

=item Usage: Linux::Clone::pidfd_open(pid, flags = 0)

=item Usage: Linux::Clone::pidfd_send_signal(pidfd, sig, flags = 0)

=item Usage: Linux::Clone::waitid(idtype, id, options)

=item Usage: Linux::Clone::setns(fh_or_fd, nstype = 0)

=item Usage: Linux::Clone::pivot_root(new_root, old_root)

=item Usage: Linux::Clone::kcmp(pid1, pid2, type, idx1 = 0, idx2 = 0)

=item Usage: Linux::Clone::siocsifflags(ifname, flags = undef)

=item Linux::Clone::configure_loopback: %s

What the kernel refused, with the reason where it is known: most of the time
C<CAP_NET_ADMIN> is missing.

=item Usage: Linux::Clone::configure_loopback()

=item Usage: Linux::Clone::ns_get_%s(fh_or_fd)

A wrong number of arguments. Mostly, but for unshare, perl sees this when it
compiles: then it is "Not enough arguments for Linux::Clone::clone".

=item Insecure dependency in Linux::Clone::%s while running with -T switch

=item Insecure $ENV{%s} while running with -T switch

See L</SECURITY>. With -t these are warnings.

=item "%s" is not exported by the Linux::Clone module

C<use Linux::Clone> with a name that it does not have. A flag has its CLONE_
there; other constants have no prefix.

=item Linux::Clone object version %s does not match bootstrap parameter %s

The library and F<Linux/Clone.pm> are of different installations.

=item Unable to flush stdout: %s

Printed by a child to STDERR: its coderef returned, but what it had printed
could not be written.

=back

=head1 CAVEATS

=over 4

=item Waiting

A child whose exit signal is not SIGCHLD is one that C<wait> and C<waitpid> do
not find (they answer -1 with ECHILD) unless C<waitpid> gets the flag __WALL.
So it is with L</waitid>. An exec in the child ends that: from then on its
exit signal is SIGCHLD, and a plain C<wait> finds it. A child with PARENT is
not the caller's: the caller's parent has to wait for it, and must expect it.

=item FILES and perl's handles

The kernel's table is shared, perl's handles are not: they are copies. If one
process closes a handle, the other's copy of it fails with EBADF, or reads and
writes whatever gets the number next. A file that the child opens stays open
in the parent, which has no handle for it, until somebody closes its number.
A child that calls C<exit> or dies takes a table of its own first, so that
perl does not close its parent's descriptors.

=item Capabilities and exec

A process in a new user namespace has all capabilities there, but loses them
when it execs a program, unless its user is mapped to 0 by then: see
L<Linux::Clone::Cookbook/Root in a user namespace>. The map can be written
once only.

=item Children of unshare

After C<unshare> with NEWPID or NEWTIME the caller is where it was; its
children from then on are in the new namespace. With NEWPID the first of them
is pid 1, and when that one has ended no other can be started: C<fork> and
clone fail with ENOMEM. And after NEWPID the caller can start no thread, since
all threads of a process are in one PID namespace: EINVAL, also from the
C<create> of L<threads>.

=item NEWUSER and threads

The kernel answers EINVAL to C<unshare> with NEWUSER in a process that has
several threads, also if a library has started them. clone with NEWUSER works
there.

=item Memory

A child that runs out of memory ends as perl ends then: it says C<Out of
memory!>, and its exit status is 1. That holds for one that shares memory,
too, and its parent goes on. Strings that spawn gets it copies; if there is no
memory for that, perl ends the process, or spawn croaks (C<Out of memory for a
string of %d bytes>).

=item Many signals at once

Signals wait while a call works: standard ones once each, real-time signals
all of them. perl dies of more than 120 that wait for a handler (C<Maximal
count of pending signals (120) exceeded>), and leaves the signal blocked. With
VM|VFORK and a child that runs long this may happen when clone returns; the
child is there for C<wait>.

=item Parentheses

C<unshare A | B> is C<unshare(A | B)>. Up to version 1.2 it was
C<unshare(A) | B>. Since the prototype is a list's, C<unshare A, B> is a call
with two arguments, which croaks.

=back

=head1 DIFFERENCES

This module replaces the one of the same name on CPAN, by Marc Lehmann, whose
versions are 0.01 and 1.0 to 1.3. What those had is here, with the same names
and arguments; the code is new. Their version numbers will do:
C<use Linux::Clone 1.3> gets this module. Scripts that use one of them run
unchanged, unless they notice one of the following.

=head2 From 0.01 to 1.3

=over 4

=item *

The exit status is what the coderef returned. It was another one: 17 for
C<sub { 77 }> with 1.3 and perl 5.36, since the value was taken from perl's
stack twice.

=item *

An exception in the coderef ends the child. It went on to the caller's
C<eval>, in the child: from there on two processes ran the caller's code.
C<last> and C<goto> do not leave the coderef either.

=item *

What a child had printed is written when its coderef returns. It was lost if
it was still in a buffer. What the parent has in its buffers is written before
the child starts.

=item *

C<$ptid> receives the thread id. It was 0 or anything: the kernel got the
address of a pointer. Six arguments are accepted, as the manual said.

=item *

C<$tls> is an address. It was a string of bytes, as it is on i386 still.

=item *

PIDFD needs C<$ptid>, into which the descriptor goes.

=item *

VM without VFORK croaks; it let both processes loose on one interpreter. So
does SIGHAND or SETTLS in shared memory, where L</FLAGS> says so, and so does
an exit signal above 64, with which no child was found again. VM with VFORK
works, and so do SETTLS, PARENT_SETTID, CHILD_SETTID and CHILD_CLEARTID.

=item *

Where a number belongs, what is none croaks: text (which was 0, so that
C<unshare 'NEWNS'> returned 0 and did nothing), undef, a fraction. And so does
a number too large: bits above the lowest 32 were cut off. All the bits of
C<unshare> go to the kernel, which answers EINVAL. What is no code croaks in
the parent; it did in the child, which then ran the caller's code.

=item *

The stack has a guard, is not executable, and is unmapped; each call left 4 MB
mapped. Sizes that cannot work are raised, and negative ones croak.

=item *

Signals are blocked meanwhile. In taint mode tainted arguments croak.

=item *

C<use Linux::Clone 'NAME'> exports that name, or croaks. It did nothing,
whatever the name was.

=item *

C<unshare A | B> is C<unshare(A | B)>, as it is in 1.3. Up to 1.2 it was
C<unshare(A) | B>, since the prototype of unshare was C<$>; it is C<@>.

=back

=head2 From 1.0 to 1.3

=over 4

=item *

configure_loopback configures the interface. 1.3 did not pass on the flags
that it was to set: on one system it returned, and lo was still down. It dies
on errors, as before, but with another message, which now says where.

=item *

siocsifflags sets the flags that it is given; those of 1.3 were whatever was
in memory. Without C<$flags> it keeps what is set besides. The name of an
interface that is too long, or has a NUL, croaks; it was cut off.

=item *

setns takes more: handles by name, IO objects, directory handles. So for one
of a directory C<$!> is EINVAL; it was EBADF. undef croaks; it was EBADF.

=item *

kcmp takes handles, where a reference was taken for a number, and the bytes of
a C<struct kcmp_epoll_slot>. A process id of more than 32 bits croaks; it was
cut off.

=item *

pivot_root takes names as C<chdir> does: characters above 255 are UTF-8; they
died of C<Wide character>. A name with a NUL croaks; it was cut off there.
undef croaks; it was the empty name.

=back

=head2 New

=over 4

=item *

The functions spawn, clone3, pidfd_open, pidfd_send_signal and waitid;
ns_get_userns, ns_get_parent, ns_get_nstype and ns_get_owner_uid.

=item *

The constants PARENT, CLEAR_SIGHAND and INTO_CGROUP, the L</PIDFD AND WAIT
CONSTANTS>, IFF_*, and NS_GET_OWNER_UID, the kernel's name of NS_OWNER_UID.
Those of 1.3 are always there, whatever the headers of the building machine
have.

=item *

Functions and constants can be imported.

=back

=head1 SEE ALSO

L<clone(2)>, L<unshare(2)>, L<namespaces(7)>, L<user_namespaces(7)>,
L<pid_namespaces(7)>, L<mount_namespaces(7)>, L<capabilities(7)>, L<wait(2)>,
L<pidfd_open(2)>, L<pidfd_send_signal(2)>, L<waitid(2)>, L<setns(2)>,
L<pivot_root(2)>, L<kcmp(2)>, L<ioctl_nsfs(2)>, L<netdevice(7)>,
L<network_namespaces(7)>

L<Linux::Clone::Spawn>, L<Linux::Clone::Child>,
L<Linux::Clone::SharedMemory>, L<Linux::Clone::Cookbook>

L<perlfunc/fork>, L<perlfunc/waitpid>, L<perlipc>, L<threads>, L<POSIX>

=head1 AUTHORS

The Linux::Clone developers. The interface of clone, unshare, setns,
pivot_root, kcmp, siocsifflags and configure_loopback is that of Marc
Lehmann's Linux::Clone.

=head1 LICENSE

This is free software. You may use, change and pass it on under the same terms
as Perl itself.

=cut

package FaultTest;

# What the tests of faults share: the ways to start a child, what they must not change, and
# processes that live under a fault.

use strict;
use warnings;

use CloneTest qw(nr);
use Exporter 'import';
use Linux::Clone ();
use POSIX ();
use ProcessTest qw(true guarded open_files);

our @EXPORT = qw(%starts @starts start end_of state apart rlimit seccomp unprivileged);

my $sigchld = POSIX::SIGCHLD();
my $vfork = Linux::Clone::VM() | Linux::Clone::VFORK();

# The maps of a user namespace, by whom may write them: root's parent does, a user's child does.
my @maps = (uid_map => 'root', gid_map => 'root');

# Each starts a child that exits with 7, a program with 0: its process id, or the object.
our %starts = (
    'clone'            => sub { Linux::Clone::clone(sub { 7 }, 0, $sigchld) },
    'clone VM|VFORK'   => sub { Linux::Clone::clone(sub { 7 }, 0, $sigchld | $vfork) },
    'clone PIDFD'      => sub { my $pid = Linux::Clone::clone(sub { 7 }, 0, $sigchld | Linux::Clone::PIDFD(), my $fd); POSIX::close($fd) if defined $fd; $pid },
    'clone3'           => sub { Linux::Clone::clone3(sub { 7 }, {}) },
    'clone3 VM|VFORK'  => sub { Linux::Clone::clone3(sub { 7 }, { flags => $vfork }) },
    'spawn code'       => sub { Linux::Clone::spawn(code => sub { 7 }) },
    'spawn exec'       => sub { Linux::Clone::spawn(exec => [ true() ]) },
    'spawn code, maps' => sub { Linux::Clone::spawn(code => sub { 7 }, @maps) },
    'spawn exec, maps' => sub { Linux::Clone::spawn(exec => [ true() ], @maps) },
);
our @starts = sort keys %starts;

# Starts one of them and waits for its end: "exit 7", "signal 9", or "errno N", for spawn with its
# message; and "changed" with what of $@ and $? is not as before.
sub start {
    my ($name) = @_;
    my ($child, $errno, @changed);
    {
        local ($@, $?) = ("as before\n", 42 << 8);
        $! = 0;
        $Linux::Clone::error = undef;
        $child = $starts{$name}->();
        $errno = $! + 0;
        push @changed, '$@' if $@ ne "as before\n";
        push @changed, '$?' if $? != 42 << 8;
        if (refused($child)) { push @changed, 'undef' if defined $child && $name =~ /spawn/ }
        elsif ($errno)       { push @changed, '$!' }
    }
    $! = $errno;
    return join ' ', end_of($child), map { "changed $_" } @changed;
}

# Whether that is what a call returns that starts no child.
sub refused { my ($child) = @_; return !defined $child || !ref $child && $child == -1 }

# Waits for what one of these calls has returned: how the child ended, "errno N" and spawn's message
# if there is none, or "lost: ERRNO".
sub end_of {
    my ($child) = @_;
    return join ' ', 'errno ' . ($! + 0), defined $Linux::Clone::error ? $Linux::Clone::error : () if refused($child);
    my ($pid, $waited) = ref $child ? ($child->pid, $child->wait) : ($child, waitpid $child, 0);
    return $waited == $pid ? CloneTest::ended() : 'lost: ' . ($! + 0);
}

# A file's text, without a handle: perl does not close a descriptor that it takes for STDIN's.
sub text {
    my ($file) = @_;
    my $fd = POSIX::open($file, POSIX::O_RDONLY()) // return;
    my $text = '';
    while (POSIX::read($fd, my $part, 65536) > 0) { $text .= $part }
    POSIX::close($fd);
    return $text;
}

# What a call must leave as it was: descriptors, stacks, children, the signal mask.
sub state {
    my %files = open_files();
    my @fds = sort { $a <=> $b } keys %files;
    # whatever guard they have; AddressSanitizer has such mappings, too
    my $stacks = $ENV{UNDER_SANITIZER} ? 0 : grep { $_->{access} eq 'rw-p' } guarded(split /\n/, text('/proc/self/maps'));
    my ($mask) = text('/proc/self/status') =~ /^SigBlk:\s+(\w+)/m;
    # not in every kernel
    my $children = text("/proc/self/task/$$/children");
    $children = defined $children ? () = split ' ', $children : CloneTest::children();
    return "descriptors @fds, stacks $stacks, children $children, mask $mask";
}

# Runs the code in a process of its own (by fork) and returns the lines that it returns, or tells
# how that process ended.
sub apart {
    my ($code) = @_;
    pipe my $read, my $write or die "pipe: $!";
    my $pid = fork;
    die "fork: $!" if !defined $pid;
    if (!$pid) {
        alarm 60;
        close $read;
        my @lines = eval { $code->() };
        push @lines, "died: $@" if $@ ne '';
        # without a buffer: what it shall not lack memory or descriptors for
        my $text = join "\n", @lines;
        while (length $text) { substr $text, 0, syswrite($write, $text) // last, '' }
        POSIX::_exit(0);
    }
    close $write;
    my @lines = <$read>;
    chomp @lines;
    waitpid $pid, 0;
    push @lines, 'it ended with ' . CloneTest::ended() if $?;
    return @lines;
}

# ---- limits, filters, users ----

my %resources = (AS => 9, NPROC => 6, NOFILE => 7, SIGPENDING => 11, STACK => 3, FSIZE => 1);

# Sets a soft limit of this process and returns the one before; undef leaves it.
sub rlimit {
    my ($resource, $soft) = @_;
    my $number = $resources{$resource} // die $resource;
    my $old = pack 'QQ', 0, 0;
    syscall(nr('prlimit64'), 0, $number, 0, $old) == 0 or die "prlimit64: $!";
    my ($before, $hard) = unpack 'QQ', $old;
    if (defined $soft) {
        $soft = $hard if $soft > $hard;
        my $new = pack 'QQ', $soft, $hard;
        syscall(nr('prlimit64'), 0, $number, $new, 0) == 0 or die "prlimit64: $!";
    }
    return $before;
}

# From here on these system calls of this process fail: name => errno. Returns 1, or undef with $!
# if the kernel refuses filters.
sub seccomp {
    my (%errors) = @_;
    # BPF_LD|BPF_W|BPF_ABS of the number; for each BPF_JMP|BPF_JEQ, BPF_RET
    my @filter = ([ 0x20, 0, 0, 0 ]);
    for my $name (sort keys %errors) {
        push @filter, [ 0x15, 0, 1, nr($name) ], [ 0x06, 0, 0, 0x00050000 | $errors{$name} ];
    }
    return filter(@filter, [ 0x06, 0, 0, 0x7fff0000 ]);
}

# From here on clone(2) with one of these flags fails in this process. Returns as seccomp does.
sub refuse_flags {
    my ($flags, $errno) = @_;
    # BPF_LD|BPF_W|BPF_ABS of the number, then of the first argument; BPF_JMP|BPF_JEQ, BPF_JSET
    return filter([ 0x20, 0, 0, 0 ], [ 0x15, 0, 3, nr('clone') ], [ 0x20, 0, 0, 16 ],
        [ 0x45, 0, 1, $flags ], [ 0x06, 0, 0, 0x00050000 | $errno ], [ 0x06, 0, 0, 0x7fff0000 ]);
}

# From here on each system call of this process takes some tenths of a millisecond more. Returns as
# seccomp does.
sub slow_system_calls {
    # BPF_LD|BPF_W|BPF_ABS of an argument, so that it is asked at each call; BPF_ALU|BPF_DIV|BPF_K
    my @filter = ([ 0x20, 0, 0, 16 ], ([ 0x34, 0, 0, 3 ]) x 4000, [ 0x06, 0, 0, 0x7fff0000 ]);
    filter(@filter) or return for 1 .. 7;
    return 1;
}

sub filter {
    my (@instructions) = @_;
    my $filter = join '', map { pack 'S C C L', @$_ } @instructions;
    my $program = pack 'S x![P] P', scalar @instructions, $filter;
    syscall(nr('prctl'), 38, 1, 0, 0, 0) == 0 or return;    # PR_SET_NO_NEW_PRIVS
    syscall(nr('seccomp'), 1, 0, $program) == 0 or return;
    return 1;
}

# This process becomes a user without rights, for good, that may look into its /proc/self.
sub unprivileged {
    return 1 if $> != 0;
    local $!;
    $) = '65534 65534';
    POSIX::setgid(65534);
    POSIX::setuid(65534);
    die "it is still root" if $> == 0;
    syscall(nr('prctl'), 4, 1, 0, 0, 0);    # PR_SET_DUMPABLE
    return 1;
}

1;

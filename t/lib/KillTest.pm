package KillTest;

# A child, its parent, or a helper is hit by a signal at a chosen point of the child's start: a
# tracer (ptrace(2)) lets the parent run, and stops the child before and after each system call.

use strict;
use warnings;

use CloneTest qw(kernel_refuses nr);
use Exporter 'import';
use FaultTest qw(end_of state);
use File::Temp ();
use Linux::Clone ();
use POSIX ();
use ProcessTest qw(true eventually process_stat);
use Test::More;
use Time::HiRes ();

our @EXPORT = qw(refusal_of_ptrace kill_test);

our $dir = File::Temp->newdir;    # as long as the module lives
chmod 0755, $dir;
mkdir "$dir/proc" or die $!;
my $sigchld = POSIX::SIGCHLD();
my $vfork = Linux::Clone::VM() | Linux::Clone::VFORK();
my $true = true();
my @maps = (uid_map => 'root', gid_map => 'root');
my @user = $> == 0 ? () : @maps;
my @code = (code => sub { 7 });
my @exec = (exec => [$true]);
sub spawned { my @options = @_; return sub { Linux::Clone::spawn(@options) } }

# Each way to start a child, with each thing that it does before its code or its program runs.
our %kinds = (
    'clone'                    => sub { Linux::Clone::clone(sub { 7 }, 0, $sigchld) },
    'clone VM|VFORK'           => sub { Linux::Clone::clone(sub { 7 }, 0, $sigchld | $vfork) },
    'clone VM|VFORK, exec'     => sub { Linux::Clone::clone(sub { exec { $true } $true }, 0, $sigchld | $vfork) },
    'clone3'                   => sub { Linux::Clone::clone3(sub { 7 }, { child_tid => \my $tid }) },
    'clone3 VM|VFORK'          => sub { Linux::Clone::clone3(sub { 7 }, { flags => $vfork }) },
    'code'                     => spawned(@code),
    'exec'                     => spawned(@exec),
    'exec, cwd, env, streams'  => spawned(@exec, cwd => '/', env => { A => 1 }, stdin => 1, stdout => 2, stderr => 1),
    'exec that fails'          => spawned(exec => ["$dir/no"]),
    'code, maps'               => spawned(@code, @maps),
    'exec, maps'               => spawned(@exec, @maps),
    'code, time_offsets'       => spawned(@code, @user, time_offsets => { boottime => 1 }),
    'exec, time_offsets'       => spawned(@exec, @user, time_offsets => { boottime => 1 }),
    'code, root, mount_proc'   => spawned(@code, @user, root => "$dir", mount_proc => 1),
    'exec, mount_proc'         => spawned(@exec, @user, mount_proc => 1),
    'code, hostname'           => spawned(@code, @user, hostname => 'box'),
    'exec, loopback'           => spawned(@exec, @user, loopback => 1),
    'code, parent_death'       => spawned(@code, parent_death => 'KILL'),
    'exec, parent_death'       => spawned(@exec, parent_death => 'KILL'),
    'exec, parent_death, NEWPID' => spawned(@exec, @user, flags => Linux::Clone::NEWPID(), parent_death => 'KILL'),
    # the maps are written by newuidmap and newgidmap, if they are there
    'code, helpers'            => sub { without_setuid(); Linux::Clone::spawn(@code, uid_map => [ [ 0, $>, 1 ], [ 1, 100_000, 10 ] ], gid_map => [ [ 0, (split ' ', $))[0], 1 ], [ 1, 100_000, 10 ] ]) },
);

# Gives up CAP_SETUID and CAP_SETGID (capset(2)). Root gets ranges in a mount namespace of its own.
sub without_setuid {
    if ($> == 0 && Linux::Clone::unshare(Linux::Clone::NEWNS()) == 0) {
        # MS_REC|MS_PRIVATE, MS_BIND; perl wants strings that it could change
        syscall(nr('mount'), my $none = 'none', my $root = '/', 0, 0x44000, 0);
        for my $file (grep { -f "/etc/$_" } qw(subuid subgid)) {
            open my $fh, '>', "$dir/$file" or die "$dir/$file: $!";
            print {$fh} "root:100000:65536\n";
            close $fh or die $!;
            syscall(nr('mount'), my $from = "$dir/$file", my $to = "/etc/$file", 0, 0x1000, 0);
        }
    }
    my $header = pack 'Ii', 0x20080522, 0;
    my $sets = pack 'I6', (0) x 6;
    syscall(nr('capget'), $header, $sets) == 0 or die "capget: $!";
    my @sets = unpack 'I6', $sets;
    $_ &= ~(1 << 6 | 1 << 7) for @sets[ 0, 1 ];
    $sets = pack 'I6', @sets;
    syscall(nr('capset'), $header, $sets) == 0 or die "capset: $!";
    return;
}

my %request = (CONT => 7, DETACH => 17, SYSCALL => 24, SEIZE => 0x4206, LISTEN => 0x4208);
# PTRACE_O_TRACESYSGOOD, TRACEFORK, TRACEVFORK, TRACECLONE, TRACEEXEC; EXITKILL
my $options = 0x1f | 0x100000;
my ($event_exec, $event_stop) = (4, 128);

sub ptrace {
    my ($request, $pid, $data) = @_;
    return syscall(nr('ptrace'), $request{$request}, $pid + 0, 0, ($data // 0) + 0) == 0;
}

# The child that the process tells of (PTRACE_GETEVENTMSG).
sub born {
    my ($pid) = @_;
    my $message = pack 'L!', 0;
    syscall(nr('ptrace'), 0x4201, $pid + 0, 0, $message) == 0 or die "ptrace: $!";
    return unpack 'L!', $message;
}

# wait4(2) for anybody: the process id and the status, or an empty list.
sub wait_for_any {
    my $status = pack 'i', 0;
    my $pid;
    do { $pid = syscall(nr('wait4'), -1, $status, 0x40000000, 0) } while $pid == -1 && $!{EINTR};
    return $pid > 0 ? ($pid, unpack 'i', $status) : ();
}

# Why the kernel lets nobody be traced; '' if it does.
sub refusal_of_ptrace {
    my $pid = fork // die "fork: $!";
    if (!$pid) { sleep 60; POSIX::_exit(0) }
    my $refusal = ptrace(SEIZE => $pid, $options) ? '' : kernel_refuses('ptrace');
    kill KILL => $pid;
    waitpid $pid, 0;
    return $refusal;
}

# The parent in a trial: starts a child, waits for it, and starts another. It says what it found.
sub parent {
    my ($kind) = @_;
    local $SIG{ALRM} = 'DEFAULT';
    alarm 60;
    my $start = $kinds{$kind};
    # one on the same ways, so that nothing is new but the trial
    Linux::Clone::clone(sub { 0 }, 0, $sigchld | $vfork);
    wait;
    my $before = state();
    $Linux::Clone::error = undef;
    # the tracer counts from here on
    kill STOP => $$;
    my $said = end_of($start->());
    kill STOP => $$;
    my $after = state();
    $said .= "; before it $before, after it $after" if $before ne $after;
    my $again = end_of(Linux::Clone::clone(sub { 5 }, 0, $sigchld));
    my $shared = end_of(Linux::Clone::clone(sub { 6 }, 0, $sigchld | $vfork));
    $said .= "; then $again, $shared" if "$again, $shared" ne 'exit 5, exit 6';
    return $said;
}

# One trial: `whom` is the number of a child in the order of their birth (1 is the first), and
# `point` the number of its system call stop (from 1 on) at which something happens. `act` gets the
# parent's and the child's id. Returns what the parent said or how it ended, how the child ended,
# how many stops there were, and how many children.
sub trial {
    my ($kind, $whom, $point, $act) = @_;
    pipe my $read, my $write or die "pipe: $!";
    my $parent = fork // die "fork: $!";
    if (!$parent) {
        close $read;
        kill STOP => $$;    # until it is traced
        my $said = eval { parent($kind) } // "died: $@";
        syswrite $write, $said;
        POSIX::_exit(0);
    }
    close $write;
    # it has stopped for the first time
    waitpid $parent, POSIX::WUNTRACED();
    ptrace(SEIZE => $parent, $options) or die "ptrace: $!";
    kill CONT => $parent;
    my $counting = 0;    # how often the parent has stopped: before it was traced, before and after the trial
    my ($stops, $acted, @births, %held, %ended) = (0, 0);
    while (my ($pid, $status) = wait_for_any()) {
        if (($status & 0xff) != 0x7f) {
            $ended{$pid} = $status & 0x7f ? 'signal ' . ($status & 0x7f) : 'exit ' . ($status >> 8);
            next;
        }
        my ($signal, $event) = ($status >> 8 & 0xff, $status >> 16);
        if ($pid == $parent) {
            if    ($event == $event_stop && $signal != POSIX::SIGTRAP()) { $counting++; kill CONT => $pid; ptrace(LISTEN => $pid) }
            elsif ($event) {
                # PTRACE_EVENT_FORK, VFORK, CLONE: perhaps its child has been heard of before
                if ($event <= 3 && $counting == 2) {
                    my $born = born($pid);
                    push @births, $born;
                    ptrace(SYSCALL => $born) if delete $held{$born};
                }
                ptrace(CONT => $pid);
            }
            else                                                          { ptrace(CONT => $pid, $signal) }
            next;
        }
        # those before and after the trial are of no interest
        my ($birth) = grep { $births[$_] == $pid } 0 .. $#births;
        if (!defined $birth && $counting == 2) {
            $held{$pid} = 1;
            next;
        }
        my $is_it = defined $birth && $birth + 1 == $whom;
        if ($event == $event_exec) {
            # its start is over; if it was to be stopped in the last moment it goes on
            ptrace(DETACH => $pid);
            kill CONT => $pid;
        }
        elsif ($event == $event_stop && $signal != POSIX::SIGTRAP()) {
            # it is stopped until somebody lets it go on
            ptrace(LISTEN => $pid);
            Time::HiRes::sleep(0.001);
            kill CONT => $pid;
        }
        elsif ($signal == (POSIX::SIGTRAP() | 0x80)) {
            $stops++ if $is_it;
            if ($is_it && $stops == $point && !$acted++) { $act->($parent, $pid) }
            ptrace(SYSCALL => $pid);
        }
        elsif ($event) { ptrace(SYSCALL => $pid) }
        else           { ptrace(SYSCALL => $pid, $signal) }
    }
    my $said = do { local $/; <$read> } // '';
    my $child = $births[ $whom - 1 ];
    return ($said eq '' ? "parent: $ended{$parent}" : $said, defined $child ? $ended{$child} // 'detached' : 'none', $stops, scalar @births);
}

# All points of a kind of start, or each `step`-th: calls `check` with the child's number, the
# point, and what trial returns, until the child has passed them all.
sub points {
    my ($kind, $step, $act, $check) = @_;
    my (undef, undef, undef, $children) = trial($kind, 0, 0, sub { });
    my $n = 0;
    for my $whom (1 .. $children) {
        for (my $point = 1;; $point += $step) {
            my $acted = 0;
            my @result = trial($kind, $whom, $point, sub { $acted = 1; $act->(@_) });
            last if !$acted;
            $n++;
            $check->($whom, $point, @result);
        }
    }
    return $n;
}

# What a trial may end in, as patterns: what the parent says, and the child's end. `$well` is what
# the parent says where nobody is hit.
my $killed = 'errno 3 Linux::Clone::spawn: the child was killed before its code ran: .*';
my $no_helper = 'errno \d+ Linux::Clone::spawn: [ug]id_map new[ug]idmap: .*';

sub expected {
    my ($what, $kind, $whom, $well) = @_;
    my $helpers = $kind =~ /helpers/ ? "|$no_helper" : '';
    if ($what eq 'the child is killed') {
        # a helper may have done its work already
        return qr/(?:$well$helpers)/, qr/signal 9/ if $whom > 1;    # a helper
        # or the child has said what is wrong
        my $fails = $kind =~ /fails/ ? "|$well" : '';
        return qr/(?:signal 9|$killed$helpers$fails)/, qr/signal 9/;
    }
    # one that is refused something is killed by its parent, if it does not end before
    if ($what eq 'the child stops and goes on') { return qr/$well/, $well =~ /^errno/ ? qr/signal 9|detached|exit \d+/ : qr/detached|exit \d+/ }
    # Its parent is killed: what shall not outlive that is killed or ends by itself, and so does a
    # child whose maps nobody will write; all others go on to their end.
    my $ends
        = $kind =~ /parent_death/ ? qr/signal 9|exit 255/
        # a helper says what is wrong to nobody: SIGPIPE, if its end is heard of
        : $kind =~ /helpers/      ? qr/signal (?:9|13)|exit \d+|detached/
        : $kind =~ /maps/         ? qr/signal 9|exit \d+|detached/
        :                           qr/exit \d+|detached/;
    return qr/parent: signal 9/, $ends;
}

# For each kind of start, at each `step`-th point of it: the child is killed, or stops and goes on,
# or its parent is killed. The parent must not hang, nor lose or leave anything, nor stop working,
# and the child must come to an end. One test for each kind; returns the number of trials.
sub kill_test {
    my ($step) = @_;
    my %acts = (
        'the child is killed'         => sub { my ($parent, $child) = @_; kill KILL => $child },
        'the child stops and goes on' => sub { my ($parent, $child) = @_; kill STOP => $child },
        'its parent is killed'        => sub {
            my ($parent, $child) = @_;
            kill KILL => $parent;
            # until it is dead, a zombie for its own parent
            eventually(1, sub { (process_stat($parent))[0] =~ /[ZX]/ });
        },
    );
    my $total = 0;
    for my $kind (sort keys %kinds) {
        my ($well) = trial($kind, 0, 0, sub { });
        SKIP: {
            skip "the kernel refuses $kind: $well", 1 + keys %acts if $well =~ /^errno/ && $kind !~ /fails|helpers/;
            # what all trials are compared with
            like $well, $kind =~ /fails/ ? qr/^errno 2 Linux::Clone::spawn: exec .+: [^;:]+\z/ : $kind =~ /helpers/ ? qr/^(?:exit 7|$no_helper)\z/ : $kind =~ /exec/ ? qr/^exit 0\z/ : qr/^exit 7\z/, "$kind: undisturbed";
            for my $what (sort keys %acts) {
                my (%wrong, $n);
                $n = points($kind, $step, $acts{$what}, sub {
                    my ($whom, $point, $said, $ended) = @_;
                    my ($say, $end) = expected($what, $kind, $whom, quotemeta $well);
                    push @{ $wrong{"child $whom, which ended with '$ended', parent: $said"} }, $point if $said !~ /^$say\z/ || $ended !~ /^(?:$end)\z/;
                });
                is join("\n", map { "$_: points @{ $wrong{$_} }" } sort keys %wrong), '', "$kind, $what: $n points";
                fail "$kind: no points" if !$n;
                $total += $n;
            }
        }
    }
    return $total;
}

1;

package Random::Plan;

# What a process does: random actions, of which the model knows what becomes of them. Each function
# that makes one returns the code that does it, and, if the process does not come out of it, how
# that ends: [die => TEXT], or [STATUS, how] where STATUS is "exit N" or "signal N".

use strict;
use warnings;
no warnings qw(exiting);

use Errno ();
use Linux::Clone ();
use POSIX ();
use ProcessTest qw(ended);
use Random::Model;
use Random::Prng;
use Time::HiRes ();

use Exporter 'import';
our @EXPORT = qw(block clone_action counter trace ended reap reaped_by_kernel some_namespaces no_namespaces bits names refused check_memory
    deadly random_result $budget @trace *OUT);

our ($budget, @trace, $log, $note_read, $note_write, $finished, $base);

# What is printed by a handle with a buffer.
open OUT, '>', '/dev/null' or die "/dev/null: $!";

sub trace {
    my ($model, $text) = @_;
    push @trace, ('  ' x $model->{depth}) . $text;
    return;
}

# Written at once, by whatever process.
sub write_log {
    my ($word) = @_;
    POSIX::write($log, "$word\n", length($word) + 1);
    return;
}

END { write_log('END') if !$finished && defined $log }

# A handler that counts in %G.
sub counter {
    my ($name) = @_;
    return sub { $G{"n_$name"}++ };
}

# ---- classes ----

{
    package Random::Object;    # says when it is destroyed
    sub new { return bless { name => $_[1] }, $_[0] }
    sub CLONE_SKIP { return 1 }
    sub DESTROY { Random::Plan::write_log($_[0]{name}); return }

    package Random::Tied;      # runs code when it is read
    sub TIESCALAR { return bless { code => $_[1] }, $_[0] }
    sub FETCH { $_[0]{code}->(); return 1 }

    package Random::Operator;
    use overload '+' => sub { $_[0]{code}->(); return 1 }, '0+' => sub { return $_[0]{number} }, '""' => sub { return $_[0]{text} },
        'bool' => sub { return 1 }, fallback => 1;
    sub CLONE_SKIP { return 1 }

    package Random::Destroyer;    # runs code when it is destroyed; perl destroys again what is left by exit
    sub CLONE_SKIP { return 1 }
    sub DESTROY { my $code = delete $_[0]{code}; $code->() if $code; return }
}

# ---- what surrounds code ----

my $hooks = 0;

# Each calls the code once, somewhere deep in perl.
my %around = (
    sub  => sub { my ($code) = @_; my $call = sub { my ($x, $y) = @_; $code->(); return $x + $y }; $call->(1, 2); return },
    map  => sub { my ($code) = @_; my @list = map { $code->(); $_ } 1; return },
    grep => sub { my ($code) = @_; my @list = grep { $code->(); 1 } 1; return },
    sort => sub {
        my ($code) = @_;
        my $done;
        my @list = sort { $code->() if !$done++; $a <=> $b } 2, 1;
        complain("sort says @list") if "@list" ne '1 2';
        return;
    },
    regex => sub { my ($code) = @_; 'xay' =~ /a(?{ $code->() })y/ or complain('no match'); return },
    subst => sub { my ($code) = @_; my $text = 'xay'; $text =~ s/a/$code->(); 'b'/e; complain("s///e says $text") if $text ne 'xby'; return },
    tie   => sub { my ($code) = @_; tie my $tied, 'Random::Tied', $code; my $read = $tied; untie $tied; return },
    overload => sub {
        my ($code) = @_;
        my $object = bless { code => $code, number => 1, text => 'o' }, 'Random::Operator';
        my $sum = $object + 1;
        return;
    },
    string  => sub { my ($code) = @_; my $done = eval '$code->(); 1'; die $@ if !$done; return },
    require => sub {
        my ($code) = @_;
        my $file = 'Random/Hook' . $hooks++ . '.pm';
        local @INC = (sub { $code->(); return \'1;' });
        require $file;
        return;
    },
    topic => sub { my ($code) = @_; local $_ = 'other'; 'zzz' =~ /z/; $code->(); complain("\$_ is $_") if $_ ne 'other'; return },
    loop  => sub { my ($code) = @_; my @list = (1); for (@list) { $code->() } return },
    goto  => sub { my ($code) = @_; my $go = sub { goto &$code }; $go->(); return },
);

sub around {
    my ($model) = @_;
    my @more = grep { !$model->{mask}{ $NUMBER{$_} } } qw(USR1 HUP);
    my $what = weighted(
        (map { $_ => 10 } sort keys %around),
        eval => 40, local => 20, object => 30, destroy => 10, $model->{handlers} && @more ? (handler => 25) : (),
    );
    trace($model, "$what {");
    my ($code, $end) = ();
    my $outer = $model->{evals};

    if ($what eq 'eval') {
        $model->{evals}++;
        ($code, $end) = inside($model);
        $model->{evals} = $outer;
        my $inner = $code;
        my $died = $end && $end->[0] eq 'die' ? $end->[1] : undef;
        $end = undef if defined $died;
        $code = sub {
            my $done = eval { $inner->(); 1 };
            my $error = $@;
            return if $done ? !defined $died : defined $died && $error =~ /\A$died\z/;
            complain('an eval has ' . ($done ? 'no error' : "the error $error") . ', not ' . ($died // 'none'));
            return;
        };
    }
    elsif ($what eq 'local') {
        my ($name, $value) = ('x' . below(4), below(1000));
        my $before = $model->{mem}{$name};
        $model->{mem}{$name} = $value;
        ($code, $end) = inside($model);
        # what a process with its own memory leaves so nobody sees
        $model->{mem}{$name} = $before;
        my $inner = $code;
        $code = sub { local $G{$name} = $value; $inner->(); return };
    }
    elsif ($what eq 'object') {
        my $name = 'object' . below(1_000_000);
        my $index = @{ $model->{objs} };
        push @{ $model->{objs} }, $name;
        ($code, $end) = inside($model);
        log_objects($model, $index) if !$end || $end->[0] eq 'die';
        my $inner = $code;
        $code = sub { my $object = Random::Object->new($name); $inner->(); return };
    }
    elsif ($what eq 'destroy') {
        $model->{nodie}++;
        ($code, $end) = inside($model);
        $model->{nodie}--;
        my $inner = $code;
        $code = sub { my $object = bless { code => $inner }, 'Random::Destroyer'; undef $object; return };
    }
    elsif ($what eq 'handler') {
        my $signal = pick(@more);
        my $before = $model->{sig}{$signal};
        $model->{sig}{$signal} = 'code';
        $model->{mask}{ $NUMBER{$signal} } = 1;    # while its handler runs; afterwards what is pending comes
        ($code, $end) = do { local $model->{handling} = { %{ $model->{handling} // {} }, $signal => 1 }; inside($model) };
        delete $model->{mask}{ $NUMBER{$signal} };
        # local puts back what %SIG says, also where the kernel has forgotten it; a guest has not asked for it
        $before = 'count' if $model->{kind} eq 'copy' && $model->{said}{$signal} eq 'count';
        $model->{sig}{$signal} = $before;
        my $inner = $code;
        $code = sub { local $SIG{$signal} = $inner; kill $signal => $$; return };
    }
    else {
        ($code, $end) = inside($model);
        my ($inner, $way) = ($code, $around{$what});
        $code = sub { $way->($inner); return };
    }
    trace($model, '}');
    return ($code, $end);
}

sub inside {
    my ($model) = @_;
    local $model->{inner} = ($model->{inner} // 0) + 1;
    return block($model, 1 + below(3));
}

# Up to $n actions, one after the other.
sub block {
    my ($model, $n) = @_;
    my (@codes, $end);
    for (1 .. $n) {
        last if $budget-- <= 0;
        (my $code, $end) = action($model);
        push @codes, $code;
        last if $end;
    }
    return (sub { for my $code (@codes) { $code->() } return }, $end);
}

# ---- what a process does ----

my %actions;

sub action {
    my ($model) = @_;
    my $simple = $model->{kind} eq 'thread';
    my $deep = ($model->{inner} // 0) >= 4;
    my $main = $model->{kind} eq 'main';
    my $no_children = $model->{next_pid} ne '' || $model->{depth} >= 4;
    # where ends are possible: an exception in the main program needs an eval
    my $may_die = !$model->{nodie} && (!$main || $model->{evals});
    my $may_end = !$model->{nodie} && !$main;
    my $name = weighted(
        print => 15, set => 12,
        $deep ? () : (around => 35),
        $may_die ? (die => 8) : (),
        $may_end ? (exit => 6) : (),
        $may_end && !$simple ? (_exit => 3, exec => 4) : (),
        $simple ? () : (chdir => 4, umask => 4, open => 4, close => 3, check => 8, exec_fails => 2),
        $simple || $no_children ? () : (system => 3, fork => 6),
        $simple || $model->{depth} >= 4 ? () : (clone => $main ? 60 : 25),
        $simple || !$model->{handlers} ? () : (signal => 8, $main ? () : (mask => 4, handler => 6, alarm => 3, tell_parent => 5)),
        $simple || $main ? () : (unshare => 8, setns => 5),
    );
    return around($model)       if $name eq 'around';
    return clone_action($model) if $name eq 'clone';
    return $actions{$name}->($model);
}

$actions{print} = sub {
    my ($model) = @_;
    my $text = 'text' . below(1000) . ' ';
    trace($model, "print $text");
    $model->{mem}{buf} .= $text;
    return sub { print OUT $text; return };
};

$actions{set} = sub {
    my ($model) = @_;
    my ($name, $value) = ('x' . below(4), below(1000));
    trace($model, "set $name = $value");
    $model->{mem}{$name} = $value;
    return sub { $G{$name} = $value; return };
};

$actions{chdir} = sub {
    my ($model) = @_;
    my $to = $base . pick('', '/a', '/b', '/c');
    trace($model, "chdir $to");
    $model->{fs}{cwd} = $to;
    return sub { chdir $to or complain("chdir $to: $!"); return };
};

$actions{umask} = sub {
    my ($model) = @_;
    my $umask = pick(022, 027, 077, 0, 002);
    trace($model, sprintf 'umask %03o', $umask);
    $model->{fs}{umask} = $umask;
    return sub { umask $umask; return };
};

# The number of the next descriptor.
sub lowest_free {
    my ($model) = @_;
    my $fd = 0;
    $fd++ while exists $model->{files}{fds}{$fd};
    return $fd;
}

# A guest of a process with several threads takes the 64 lowest free numbers, for these threads to
# have them for themselves.
sub leave_to_threads {
    my ($model) = @_;
    my $free = 3;
    for (1 .. 64) {
        $free++ while exists $model->{files}{fds}{$free};
        $model->{files}{fds}{$free} = 'anon_inode:[eventpoll]';
    }
    return;
}

$actions{open} = sub {
    my ($model) = @_;
    my $fd = lowest_free($model);
    trace($model, "open $fd");
    $model->{files}{fds}{$fd} = 'zero';
    push @{ $model->{files}{extra} }, $fd;
    return sub {
        my $got = POSIX::open('/dev/zero', POSIX::O_RDONLY()) // "refused: $!";
        complain("open gives $got, not $fd") if $got ne $fd;
        return;
    };
};

$actions{close} = sub {
    my ($model) = @_;
    my $extra = $model->{files}{extra};
    return $actions{open}->($model) if !@$extra;
    my $fd = splice @$extra, below(scalar @$extra), 1;
    trace($model, "close $fd");
    delete $model->{files}{fds}{$fd};
    return sub { POSIX::close($fd) or complain("close $fd: $!"); return };
};

$actions{check} = sub {
    my ($model) = @_;
    trace($model, 'check');
    my $expected = expected($model);
    my %mem = %{ $model->{mem} };
    return sub {
        my $wrong = differences($expected);
        complain($wrong) if $wrong ne '';
        check_memory(\%mem);
        return;
    };
};

sub check_memory {
    my ($mem) = @_;
    for my $name (grep { $_ ne 'buf' } sort keys %{ { %$mem, %G } }) {
        my ($is, $should) = map { $_ // 'undef' } $G{$name}, $mem->{$name};
        complain("\$G{$name} is $is, not $should") if $is ne $should;
    }
    return;
}

# ---- ends ----

$actions{die} = sub {
    my ($model) = @_;
    my ($errno, $status) = (pick(0, 0, 1 + below(120)), pick(0, 1 + below(255)));
    my $kind = weighted(text => 50, object => 20, hash => 15, $model->{evals} ? () : (last => 25));
    my $text = 'dies of ' . below(1000);
    trace($model, "die $kind: $text, \$! = $errno, \$? = $status << 8");
    my $pattern
        = $kind eq 'text' ? quotemeta "$text\n"
        : $kind eq 'hash' ? qr/HASH\(0x[0-9a-f]+\)/
        : $kind eq 'last' ? qr/Label not found for "last NOWHERE" at .*\n/
        :                   quotemeta $text;
    my $code = sub {
        $? = $status << 8;
        $! = $errno;
        die "$text\n" if $kind eq 'text';
        die { text => $text } if $kind eq 'hash';
        last NOWHERE if $kind eq 'last';
        die bless { text => $text }, 'Random::Operator';
    };
    return ($code, [ die => $pattern, $errno || $status || 255 ]);
};

$actions{exit} = sub {
    my ($model) = @_;
    my $n = pick(0, 1, 2 + below(254), 256 + below(300));
    trace($model, "exit $n");
    return (sub { exit $n }, [ 'exit ' . ($n & 255), 'exit' ]);
};

$actions{_exit} = sub {
    my ($model) = @_;
    my $n = below(256);
    trace($model, "_exit $n");
    return (sub { POSIX::_exit($n) }, [ "exit $n", '_exit' ]);
};

$actions{exec} = sub {
    my ($model) = @_;
    my $n = below(256);
    trace($model, "exec exit $n");
    return (sub { exec '/bin/sh', '-c', "exit $n" or complain("exec: $!"); return }, [ "exit $n", 'exec' ]);
};

$actions{exec_fails} = sub {
    my ($model) = @_;
    trace($model, 'exec /no/such');
    flush_buffer($model);
    return sub {
        no warnings 'exec';
        my $done = exec { '/no/such/program' } 'program';
        complain("exec returns $done with $!") if $done || $! != Errno::ENOENT;
        return;
    };
};

# ---- children of perl's own ----

$actions{system} = sub {
    my ($model) = @_;
    my $n = below(256);
    trace($model, "system exit $n");
    flush_buffer($model);
    my $status = $model->{sig}{CHLD} eq 'IGNORE' ? -1 : $n << 8;
    deliver($model, 'CHLD');
    # system ignores these meanwhile, so that none waits any more
    delete @{ $model->{pending} }{ @NUMBER{qw(INT QUIT)} };
    return sub {
        local ($?, $!);
        my $got = system '/bin/sh', '-c', "exit $n";
        complain("system returns $got, not $status") if $got != $status;
        return;
    };
};

$actions{fork} = sub {
    my ($model) = @_;
    trace($model, 'fork {');
    flush_buffer($model);
    my $child = child_of($model, $model->{kind} eq 'main' ? 'copy' : $model->{kind}, {});
    @$child{qw(mem shared sig sighand nodie)} = ({ %{ $model->{mem} } }, 0, { %{ $model->{sig} } }, $model->{sighand}, 1);
    # it is a guest's or a copy's, with all of the guest's or copy's frames
    $child->{own} = $model->{own};
    @$child{qw(exit_sig forked told tells)} = ('CHLD', 1, 0, 0);
    my ($code) = block($child, 1 + below(3));
    my $how = pick('exit', '_exit', 'exec');
    my ($last, $end) = $actions{$how}->($child);
    ends_by($child, $how);
    trace($model, "} $end->[0]");
    my $gone = reaped_by_kernel($model, 'CHLD');
    deliver($model, 'CHLD');
    deliver($model, 'USR2') if $child->{tells};
    my $expected = $end->[0];
    return sub {
        # no local $?, which an exit in the child would put back
        my $here = $$;
        my $pid = fork // return complain("fork: $!");
        if (!$pid) {
            eval {
                complain('getppid is wrong after fork') if getppid != $here && !$child->{pid1};
                $code->();
                1;
            } or complain("in a forked child: $@");
            $last->();
            POSIX::_exit(254);
        }
        local ($?, $!);
        reap($pid, $expected, $gone);
        return;
    };
};

# Whether nobody can wait for a child that ends with this signal.
sub reaped_by_kernel {
    my ($model, $exit_sig) = @_;
    return $exit_sig eq 'CHLD' && $model->{sig}{CHLD} eq 'IGNORE';
}

# Waits for a child that must come to that end.
sub reap {
    my ($pid, $expected, $gone, $options) = @_;
    my $got = waitpid $pid, $options // Linux::Clone::__WALL();
    if ($gone) {
        complain("waitpid $pid returns $got, $!") if $got != -1 || $! != Errno::ECHILD;
    }
    elsif ($got != $pid) {
        complain("waitpid $pid returns $got: $!");
    }
    else {
        my $end = ended();
        complain("child $pid ends by $end, not $expected") if $end ne $expected;
    }
    return;
}

# ---- signals ----

my @deadly = qw(HUP INT QUIT TERM USR1 USR2 ALRM PIPE IO PROF ABRT SYS);

$actions{signal} = sub {
    my ($model) = @_;
    my $name = pick(@deadly, qw(URG WINCH CONT));
    $name = 'KILL' if chance(8);
    my $main = $model->{kind} eq 'main' || $model->{nodie};
    # what would end it here
    return $actions{set}->($model) if $main && ($name eq 'KILL' || deadly($model, $name)) || $model->{handling}{$name};
    # what waits for the main program must not kill it one day
    return $actions{set}->($model) if $main && $model->{mask}{ $NUMBER{$name} } && $model->{sig}{$name} ne 'count';
    trace($model, "kill $name => itself");
    my $ends = deliver($model, $name);
    my $code = sub {
        kill $name => $$;
        complain("it survives $name") if $ends;
        return;
    };
    return ($code, $ends ? [ "signal $NUMBER{$name}", 'kill' ] : ());
};

sub deadly {
    my ($model, $name) = @_;
    return $model->{sig}{$name} eq 'DEFAULT' && $name !~ /^(?:CHLD|URG|WINCH|CONT)$/;
}

$actions{tell_parent} = sub {
    my ($model) = @_;
    my $parent = $model->{parent};
    my $name = 'USR2';
    my $unsure = $model->{pid1} || $model->{told} || $model->{exit_sig} eq $name || deadly($parent, $name) || $parent->{kind} eq 'thread';
    # process 1 has no parent, and a sibling's is another
    return $actions{set}->($model) if $unsure || $parent->{mask}{ $NUMBER{$name} } && $parent->{kind} eq 'main';
    trace($model, "kill $name => parent");
    $model->{told} = $model->{tells} = 1;    # it sleeps perhaps: deliver when the child has ended
    return sub { kill $name => getppid; return };
};

$actions{mask} = sub {
    my ($model) = @_;
    my $name = pick(qw(HUP QUIT TERM IO WINCH));
    trace($model, "block $name");
    $model->{mask}{ $NUMBER{$name} } = 1;
    return sub { POSIX::sigprocmask(POSIX::SIG_BLOCK(), POSIX::SigSet->new($NUMBER{$name})); return };
};

$actions{handler} = sub {
    my ($model) = @_;
    return $actions{set}->($model) if $model->{sighand};    # it would be the parent's
    my ($name, $what) = (pick(qw(INT QUIT TERM PIPE PROF ALRM)), pick(qw(count IGNORE DEFAULT)));
    return $actions{set}->($model) if $model->{sig}{$name} eq 'code';
    trace($model, "\$SIG{$name} = $what");
    $model->{sig}{$name} = $what;
    delete $model->{pending}{ $NUMBER{$name} } if $what eq 'IGNORE';
    return sub { $SIG{$name} = $what eq 'count' ? counter($name) : $what; return };
};

$actions{alarm} = sub {
    my ($model) = @_;
    my $what = $model->{sig}{ALRM};
    return $actions{set}->($model) if $model->{nodie} || $what ne 'DEFAULT' || $model->{mask}{ $NUMBER{ALRM} } || $model->{pid1};
    my $usec = 100 + below(3000);
    trace($model, "alarm in $usec us");
    my $code = sub {
        my $n = 0;
        Time::HiRes::ualarm($usec);
        Time::HiRes::sleep(0.5) while $n++ < 60;
        complain('it survives an alarm');
        return;
    };
    return ($code, [ "signal $NUMBER{ALRM}", 'kill' ]);
};

# ---- namespaces ----

my @kinds = qw(NEWUTS NEWIPC NEWPID NEWNS NEWCGROUP NEWUSER);

# Asks the kernel which kinds it has, and whether it lets users have user namespaces.
sub ask_kernel {
    my %has = map { $_ => 1 } namespaces();
    @kinds = grep { $_ ne 'NEWCGROUP' || $has{cgroup} } @kinds;
    my $pid = fork // die "fork: $!";
    POSIX::_exit(Linux::Clone::unshare(Linux::Clone::NEWUSER()) == 0 ? 0 : $! + 0) if !$pid;
    waitpid $pid, 0;
    return if $? == 0;
    trace({ depth => 0 }, 'no user namespaces: errno ' . ($? >> 8));
    @kinds = grep { $_ ne 'NEWUSER' } @kinds;
    return;
}

sub some_namespaces {
    my ($model) = @_;
    my %flags = map { pick(@kinds) => 1 } 0 .. below(3);
    $flags{NEWNET}  = 1 if chance(5);
    $flags{NEWUSER} = 1 if !$model->{caps} && chance(70) && $kinds[-1] eq 'NEWUSER';
    return \%flags;
}

sub bits {
    my ($flags) = @_;
    my $bits = 0;
    $bits |= Linux::Clone->can($_)->() for grep { $flags->{$_} } keys %$flags;
    return $bits;
}

sub names {
    my ($flags) = @_;
    return join('|', sort grep { $flags->{$_} } keys %$flags) || 0;
}

# Why the kernel does not give these new namespaces, or undef.
sub no_namespaces {
    my ($model, $flags) = @_;
    my $others = grep { /^NEW/ && $_ ne 'NEWUSER' && $flags->{$_} } keys %$flags;
    return 'EPERM' if $flags->{NEWUSER} && !$model->{mapped};
    return $others && !$model->{caps} && !$flags->{NEWUSER} ? 'EPERM' : undef;
}

$actions{unshare} = sub {
    my ($model) = @_;
    return $actions{set}->($model) if $model->{next_pid} ne '';
    my $flags = chance(30) ? {} : some_namespaces($model);
    for (qw(FS FILES SYSVSEM)) { $flags->{$_} = 1 if chance(20) }
    # its own memory and table of handlers it has anyway, if no sibling that nobody has reaped has it, too
    if (!$model->{shared} && !$model->{handlers_shared}) {
        for (qw(VM SIGHAND THREAD)) { $flags->{$_} = 1 if chance(4) }
    }
    # no thread may be started after that; and two would be too many
    delete $flags->{NEWPID} if $model->{depth} >= 3;
    my $unknown = chance(5) ? 1 : 0;
    my $errno = $unknown ? 'EINVAL' : no_namespaces($model, $flags);
    trace($model, 'unshare ' . names($flags) . ($unknown ? '|1' : '') . ($errno ? ": $errno" : ''));
    my $bits = bits($flags) | $unknown;
    unshared($model, $flags) if !$errno;
    my $expected = expected($model);
    return sub {
        local $! = Errno::ENOTTY;
        refused(Linux::Clone::unshare($bits), $errno, 'unshare');
        my $wrong = differences($expected);
        complain("after unshare: $wrong") if $wrong ne '';
        return;
    };
};

# That a call gave 0, or was refused so. $! was ENOTTY.
sub refused {
    my ($got, $errno, $what) = @_;
    my ($should, $number) = $errno ? (-1, Errno->can($errno)->()) : (0, Errno::ENOTTY);
    my $is = $! + 0;
    complain("$what gives $got with errno $is, not $should with $number") if $got != $should || $is != $number;
    return;
}

$actions{setns} = sub {
    my ($model) = @_;
    my $kind = pick(grep { !/^(?:time|pid)$/ } namespaces());
    my $may = rules($model, $model->{owner}{$kind});
    my $errno
        = $kind eq 'user' ? 'EINVAL'
        : !$may ? 'EPERM'
        : $kind eq 'mnt' && $model->{fs_shared} ? 'EINVAL'
        :   undef;
    trace($model, "setns its own $kind" . ($errno ? ": $errno" : ''));
    $model->{fs}{cwd} = '/' if $kind eq 'mnt' && !$errno;
    my $flags = pick(0, bits({ $flag_of{$kind} => 1 }));
    return sub {
        open my $fh, '<', "/proc/self/ns/$kind" or return complain("/proc/self/ns/$kind: $!");
        local $! = Errno::ENOTTY;
        refused(Linux::Clone::setns($fh, $flags), $errno, "setns $kind");
        return;
    };
};

# ---- clone ----

# Flags that croak or that the kernel refuses, whatever else is there: [croak => PATTERN] or
# [errno => NAME]. $request may be changed.
sub nonsense {
    my ($model, $request) = @_;
    my $flags = $request->{flags};
    my $clone3 = $request->{api} eq 'clone3';
    # the kernel looks at these first
    my $plain = sub { delete @$flags{ grep { /^NEW/ } keys %$flags }; delete $request->{set_tid}; return };
    my @kinds = (
        [ sub { delete $flags->{VFORK}; $flags->{VM} = 1; delete $flags->{THREAD} }, croak => qr/VM without VFORK/ ],
        [ sub { $flags->{SETTLS} = 1; delete @$flags{qw(VM SIGHAND THREAD)} }, croak => qr/SETTLS needs / ],
        [ sub { $flags->{CHILD_SETTID} = 1; delete $request->{ctid} }, croak => qr/CHILD_SETTID needs / ],
        [ sub { $request->{stack} = -1 }, croak => qr/is negative: -1/ ],
        [ sub { $request->{stack} = 'much' }, croak => qr/must be an integer, not the string "much"/ ],
        [ sub { $request->{code} = 'no_such_sub' }, croak => qr/must be a CODE reference or the name of a defined sub/ ],
        [ sub { delete $flags->{VM}; delete $flags->{THREAD}; $flags->{SIGHAND} = 1 }, errno => 'EINVAL' ],
        [ sub { delete $flags->{SIGHAND}; $flags->{THREAD} = 1 }, errno => 'EINVAL' ],
        [ sub { delete $flags->{NEWUSER}; $flags->{FS} = $flags->{NEWNS} = 1 }, errno => 'EINVAL' ],
        [ sub { $flags->{FS} = $flags->{NEWUSER} = 1 }, errno => 'EINVAL' ],
        [ sub { $request->{stack} = 1 << 30; $request->{stack} *= 1 << 17 if $Config::Config{ptrsize} == 8 }, errno => 'ENOMEM' ],
        $clone3
        ? (
            [ sub { $request->{key} = 'no_such' }, croak => qr/there is no "no_such" in struct clone_args/ ],
            [ sub { $request->{more} = pick(1, 1 << 7 | 1 << 3, 64) }, errno => 'EINVAL' ],
            [ sub { $flags->{DETACHED} = 1 }, errno => 'EINVAL' ],
            [ sub { $request->{exit_signal} = 65 + below(190); delete $flags->{THREAD} }, errno => 'EINVAL' ],
            [ sub { delete $flags->{NEWPID}; $flags->{SIGHAND} = $flags->{CLEAR_SIGHAND} = $flags->{VM} = $flags->{VFORK} = 1 }, errno => 'EINVAL' ],
            [ sub { $plain->(); $request->{set_tid} = [ pick(0, -1) ] }, errno => 'EINVAL' ],
            [ sub { $plain->(); $request->{cgroup} = 999 }, errno => 'EBADF' ],
            )
        : (
            [ sub { $request->{low} = 65 + below(63) }, croak => qr/the exit signal in \$flags is/ ],
            [ sub { $request->{low} = 128 + below(128) }, croak => qr/clone\(2\) has no NEWTIME/ ],
            [ sub { $request->{above} = 1 }, croak => qr/bits above the 32 that clone\(2\) reads/ ],
            [ sub { $flags->{PIDFD} = 1; delete $request->{ptid}; delete $flags->{PARENT_SETTID} }, croak => qr/PIDFD needs \$ptid/ ],
            [ sub { $flags->{PIDFD} = $flags->{PARENT_SETTID} = 1; $request->{ptid} = 1 }, errno => 'EINVAL' ],
            [ sub { $flags->{PIDFD} = $flags->{DETACHED} = 1; $request->{ptid} = 1; delete $flags->{PARENT_SETTID} }, errno => 'EINVAL' ],
        ),
    );
    my ($change, @refusal) = @{ pick(@kinds) };
    $change->();
    return @refusal;
}

# What clone is to be asked for: api, kind, flags (names => 1), exit_signal (a name or 0), stack;
# ctid: there is a variable for it; ptid likewise, pidfd for clone3's.
sub request {
    my ($model) = @_;
    my $api = chance(30) ? 'clone3' : 'clone';
    my $kind = weighted(copy => 50, vfork => 8, guest => 34, $model->{next_pid} eq '' ? (sighand => 6) : (),
        $model->{next_pid} eq '' && !$model->{threaded} ? (thread => 5) : ());
    my %flags;
    @flags{qw(VM VFORK)} = (1, 1) if $kind =~ /^(?:guest|sighand|thread)$/;
    $flags{VFORK}   = 1 if $kind eq 'vfork';
    $flags{SIGHAND} = 1 if $kind =~ /^(?:sighand|thread)$/;
    $flags{THREAD}  = 1 if $kind eq 'thread';
    my %request = (api => $api, flags => \%flags, exit_signal => 'CHLD', stack => 0);
    for ([ FILES => 25 ], [ FS => 25 ], [ SYSVSEM => 15 ], [ IO => 10 ], [ PTRACE => 4 ], [ UNTRACED => 4 ]) {
        my ($name, $often) = @$_;
        $flags{$name} = 1 if chance($often);
    }
    if ($kind ne 'thread') {
        $flags{DETACHED} = 1 if $api eq 'clone' && chance(4);
        if (chance(25)) {
            my $new = some_namespaces($model);
            # these exclude each other
            delete @flags{ grep { /^(?:FS|SYSVSEM)$/ } keys %flags };
            # the end of process 1 has the kernel ignore SIGCHLD for all that share its handlers
            delete $new->{NEWPID} if $flags{SIGHAND};
            @flags{ keys %$new } = values %$new;
        }
        if ($api eq 'clone3') {
            $flags{CLEAR_SIGHAND} = 1 if $kind ne 'sighand' && chance(15);
            if (chance(10) && !$flags{VM} && (grep { $_ eq 'time' } namespaces())) {
                delete @flags{qw(FS SYSVSEM)};
                $flags{NEWTIME} = 1;
            }
            $request{set_tid} = [1] if $flags{NEWPID} && chance(40);
            $request{pidfd}   = 1   if chance(20);
        }
        elsif (chance(20) && !$flags{DETACHED}) {
            $flags{PIDFD} = $request{ptid} = 1;
        }
        $flags{PARENT_SETTID} = $request{ptid} = 1 if !$flags{PIDFD} && chance(20);
        $request{ptid} = 1 if chance(20);
        $flags{CHILD_SETTID}   = $request{ctid} = 1 if chance(15);
        $flags{CHILD_CLEARTID} = $request{ctid} = 1 if chance(15);
        # the caller must survive it, and tell it from others
        my @signals
            = grep { !deadly($model, $_) && !$model->{handling}{$_} && ($model->{kind} ne 'main' || !$model->{mask}{ $NUMBER{$_} }) }
            qw(USR1 USR2 URG WINCH);
        $request{exit_signal} = weighted(CHLD => 70, 0 => 15, map { $_ => 6 } @signals);
        $request{exit_signal} = 0 if $request{exit_signal} eq 'CHLD' && $model->{kind} eq 'main' && $model->{mask}{ $NUMBER{CHLD} };
        $request{exit_signal} = pick('CHLD', 0) if $model->{threaded};
    }
    $request{stack} = pick(1, 300_000, 1 << 20, 5 << 20, 4 << 20, below(1 << 24)) if chance(25);
    return \%request;
}

sub sibling {
    my ($model, $request) = @_;
    my $parent = $model->{parent} or return 0;
    my $flags = $request->{flags};
    # Its signal would come together with the caller's, and a process that is not waited for
    # must not be forgotten
    return
           chance(12)
        && $model->{depth} >= 1
        && $parent->{kind} ne 'thread'
        && !$model->{pid1} && !$model->{forked}
        && $model->{next_pid} eq ''
        && !$flags->{THREAD}
        && !(grep { /^NEW/ } keys %$flags)
        && $parent->{sig}{CHLD} !~ /^(?:count|code|IGNORE)$/
        && ($model->{exit_sig} eq '0' || $parent->{sig}{ $model->{exit_sig} } ne 'count');
}

sub clone_action {
    my ($model) = @_;
    my $request = request($model);
    my $flags = $request->{flags};
    my $parent_flag = sibling($model, $request);
    if ($parent_flag) {
        # the caller sleeps meanwhile, so that what happens has one order
        $flags->{PARENT} = $flags->{VFORK} = 1;
        $model->{handlers_shared} = 1 if $flags->{SIGHAND};
        $request->{exit_signal} = $request->{api} eq 'clone3' ? undef : $request->{exit_signal};
    }
    my ($refusal, $why) = chance(10) && $model->{next_pid} eq '' ? nonsense($model, $request) : ();
    if (!$refusal) {
        my $errno = no_namespaces($model, $flags);
        $errno //= 'EINVAL' if $flags->{NEWPID} && $model->{next_pid} ne '';
        $errno //= 'ENOMEM' if $model->{next_pid} eq 'dead';
        ($refusal, $why) = (errno => $errno) if $errno;
    }
    my $what = "$request->{api} " . names($flags) . ', exit signal ' . ($request->{exit_signal} // 'none') . ", stack $request->{stack}";
    flush_buffer($model) if !$refusal || $refusal eq 'errno';
    if ($refusal) {
        trace($model, "$what: $refusal $why");
        return clone_code($request, sub { complain('a refused child runs'); POSIX::_exit(253) }, { $refusal => $why });
    }

    # ---- the child ----
    my $kind = $flags->{THREAD} ? 'thread' : $flags->{VM} ? 'guest' : 'copy';
    # the descriptor is there before the child is, and is the caller's
    my $pidfd = $flags->{PIDFD} || $request->{pidfd} ? lowest_free($model) : undef;
    $model->{files}{fds}{$pidfd} = 'pidfd' if defined $pidfd;
    my $child = child_of($model, $kind, $flags);
    delete $child->{files}{fds}{$pidfd} if defined $pidfd && !$flags->{FILES};
    leave_to_threads($child) if $model->{threaded} && $model->{kind} eq 'main' && $kind eq 'guest' && !$flags->{FILES};
    $child->{parent} = $model->{parent} if $parent_flag;
    my $exit_signal = $parent_flag ? $model->{exit_sig} : $request->{exit_signal};
    $child->{exit_sig} = $exit_signal;
    delete @$child{qw(forked tells adopted_by_parent)};
    $child->{told} = $parent_flag;
    trace($model, "$what {");
    my ($code, $end) = do { local $child->{inner} = 0; block($child, 1 + below(5)) };
    my ($status, $how, $result);
    if (!$end) {
        ($result, $status) = random_result($child);
        $how = 'return';
    }
    elsif ($end->[0] eq 'die') {
        push @err_text, $end->[1];
        ($status, $how) = ("exit $end->[2]", 'die');
    }
    else {
        ($status, $how) = @$end;
    }
    # objects of the coderef's own go when it returns
    ends_by($child, $how);
    trace($model, '} ' . ($kind eq 'thread' ? "ends by $how" : "$status, by $how"));
    $model->{next_pid} = 'dead' if $model->{next_pid} eq 'fresh';
    # until it execs it is not to be found without __WALL
    my $plain = ($exit_signal // 0) eq 'CHLD';
    $exit_signal = 'CHLD' if $how eq 'exec';
    my %outcome = (
        status => $status, pid1 => $child->{pid1}, pidfd => $pidfd, guest => $kind ne 'copy',
    );
    if ($parent_flag) {
        push @{ $model->{adopted_by_parent} }, @{ $child->{adopted_by_parent} // [] }, [$status];
    }
    elsif ($kind ne 'thread') {
        $outcome{gone} = reaped_by_kernel($model, $exit_signal);
        deliver($model, $exit_signal) if $exit_signal;
        deliver($model, 'USR2')       if $child->{tells};
        $outcome{siblings} = $child->{adopted_by_parent} // [];
        $outcome{plain} = $plain;
    }
    if (defined $pidfd) {
        delete $model->{files}{fds}{$pidfd};
    }
    my $full = sub {
        $code->();
        return if !$result;
        return $result->();
    };
    return clone_code($request, $full, \%outcome);
}

# What a coderef may return, and the exit status.
sub random_result {
    my ($model) = @_;
    my $n = below(256);
    my ($name, $code, $status) = @{
        pick(
            [ number => sub { return $n }, $n ],
            [ number => sub { return $n }, $n ],
            [ negative => sub { return -1 - $n }, 255 - $n ],
            [ large    => sub { return 256 * 5 + $n }, $n ],
            [ fraction => sub { return "$n.75" + 0 }, $n ],
            [ undef    => sub { my $nothing; return $nothing }, 0 ],
            [ nothing  => sub { return }, 0 ],
            [ text     => sub { return "$n" }, $n ],
            [ list     => sub { return (1, 2, $n) }, $n ],
            [ array    => sub { my @list = (5) x ($n % 7); return @list }, $n % 7 ],
            [ object   => sub { return bless { number => $n, text => 'x' }, 'Random::Operator' }, $n ],
            [ errno    => sub { $! = $n % 100; return $! }, $n % 100 ],
            [ zero     => sub { return '0 but true' }, 0 ],
            [ word     => sub { return 'words' }, 0 ],
            [ tied     => sub { tie my $tied, 'Random::Tied', sub { }; return $tied }, 1 ],
        )
    };
    push @err_text, qr/Argument "words" isn't numeric.*\n/ if $name eq 'word';
    trace($model, "return $name, $status");
    return ($code, "exit $status");
}

# The code that calls clone and sees to what must be afterwards.
sub clone_code {
    my ($request, $code, $outcome) = @_;
    my ($status, $errno, $error, $position) = (below(65536), 1 + below(120), 'error ' . below(1000), below(3));
    my $flags = $request->{flags};
    my $bits = bits($flags);
    my $signal = $request->{exit_signal};
    my $number = !defined $signal ? undef : $signal =~ /\D/ ? $NUMBER{$signal} : $signal;
    my $how = below(4);
    return sub {
        # in a variable of its own for each call: a child in shared memory may come here, too
        my ($lexical, $here, $text) = (17, $$, 'abc');
        my ($ptid, $ctid, $pidfd) = ('unset', 'unset', 'unset');
        my @before = map { $SIG{$_} // 'undef' } sort keys %NUMBER;
        my $depth = 0;
        $depth++ while caller $depth;
        local ($?, $!, $_) = (0, 0, 'topic');
        my $child = ref $code ? sub {
            my $is = $! + 0;
            complain("\$! is $is at the start, not $errno") if $is != $errno;
            complain("\$\@ is $@ at the start, not $error") if $@ ne $error;
            complain("\$_ is $_ at the start")              if $_ ne 'topic';
            complain('the coderef has arguments')           if @_;
            complain('no scalar context')                   if !defined wantarray || wantarray;
            complain('the lexical is not 17')               if $lexical != 17;
            complain("\$ptid is $ptid in the child")        if $ptid ne 'unset';
            $lexical = 18;
            if (!$flags->{THREAD}) {
                my $parent = getppid;
                complain("getppid is $parent")                    if $parent != ($outcome->{pid1} ? 0 : $here) && !$flags->{PARENT};
                complain("\$\$ is $$")                            if $outcome->{pid1} ? $$ != 1 : $$ == $here;
                complain("\$ctid is $ctid in the child, not $$")  if $ctid ne ($flags->{CHILD_SETTID} || $request->{ctid} && $request->{api} eq 'clone3' && !$flags->{CHILD_CLEARTID} ? $$ : 'unset');
            }
            return $code->();
        } : $code;
        $child = $request->{code} if exists $request->{code};
        my @arguments;
        if ($request->{api} eq 'clone') {
            my $all = $bits | ($request->{low} // $number // 0);
            $all += 2**32 * $request->{above} if $request->{above};
            @arguments = ($child, $request->{stack}, $all);
        }
        else {
            @arguments = ($child, {
                flags => $bits | ($request->{more} // 0),
                defined $number && !$flags->{THREAD} ? (exit_signal => $number) : (),
                $request->{stack} ? (stack_size => $request->{stack}) : (),
                $request->{pidfd} ? (pidfd      => \$pidfd)           : (),
                $request->{ptid}  ? (parent_tid => \$ptid)            : (),
                $request->{ctid}  ? (child_tid  => \$ctid)            : (),
                (map { exists $request->{$_} ? ($_ => $request->{$_}) : () } qw(set_tid cgroup)),
                exists $request->{key} ? ($request->{key} => 1) : (),
            });
        }
        my $call = $request->{api} eq 'clone3' ? sub { return ('a', Linux::Clone::clone3($_[0], $_[1]), 'z') }
            : !$request->{ptid} && !$request->{ctid} ? sub { return ('a', Linux::Clone::clone($_[0], $_[1], $_[2]), 'z') }
            : !$request->{ctid} ? sub { return ('a', Linux::Clone::clone($_[0], $_[1], $_[2], $ptid), 'z') }
            : $request->{ptid} ? sub { return ('a', Linux::Clone::clone($_[0], $_[1], $_[2], $ptid, undef, $ctid), 'z') }
            :                    sub { return ('a', Linux::Clone::clone($_[0], $_[1], $_[2], undef, undef, $ctid), 'z') };

        'xyz' =~ /(y)/;
        pos($text) = $position;
        if ($outcome->{croak}) {
            my $done = eval { $call->(@arguments); 1 };
            complain($done ? 'it does not croak' : "it croaks $@") if $done || $@ !~ $outcome->{croak};
            return;
        }
        $? = $status;
        $@ = $error;
        $! = $errno;
        my @got = $call->(@arguments);
        my ($after_errno, $after_error, $after_status) = ($! + 0, $@, $?);
        my $pid = $got[1];
        my $expected_errno = $outcome->{errno} ? Errno->can($outcome->{errno})->() : $errno;

        complain("clone returns (@got)")                      if "$got[0] $got[-1] @{[scalar @got]}" ne 'a z 3';
        complain("clone gives $pid with errno $after_errno, not $expected_errno")
            if $after_errno != $expected_errno || ($outcome->{errno} ? $pid != -1 : $pid <= 0);
        complain("\$\@ is $after_error, not $error")          if $after_error ne $error;
        complain("\$? is $after_status, not $status")         if $after_status != $status;
        complain("\$_ is $_")                                 if $_ ne 'topic';
        complain('$1 is ' . ($1 // 'undef'))                  if ($1 // '') ne 'y';
        complain('pos is ' . (pos($text) // 'undef'))         if (pos($text) // -1) != $position;
        complain('the lexical is ' . $lexical)                if $lexical != (!$outcome->{errno} && $outcome->{guest} ? 18 : 17);
        complain("\$\$ is $$, not $here")                     if $$ != $here;
        my @after = map { $SIG{$_} // 'undef' } sort keys %NUMBER;
        complain('%SIG has changed')                          if "@before" ne "@after";
        my $now = 0;
        $now++ while caller $now;
        complain("$now callers, not $depth")                  if $now != $depth;
        return if $pid == -1;

        my $asked = $request->{ptid} ? $request->{api} eq 'clone' && $flags->{PIDFD} ? 'pidfd' : 'tid' : 'unset';
        $pidfd = $ptid if $asked eq 'pidfd';
        complain("\$ptid is $ptid, not $pid")                 if $asked eq 'tid' && $ptid ne $pid;
        complain("\$ptid is $ptid")                           if $asked eq 'unset' && $ptid ne 'unset';
        if (defined $outcome->{pidfd}) {
            my $link = readlink("/proc/self/fd/$pidfd") // '';
            complain("the pidfd is $pidfd, not $outcome->{pidfd}: $link") if $pidfd ne $outcome->{pidfd} || $link !~ /pidfd/;
        }
        # where memory is shared the child's variable is the parent's
        my $cleared = $outcome->{guest} && $flags->{CHILD_CLEARTID};
        complain("\$ctid is $ctid, not cleared")              if $cleared && $ctid ne '0';
        complain("\$ctid is $ctid in the parent")             if !$outcome->{guest} && $ctid ne 'unset';

        if ($flags->{PARENT}) {
            syswrite $note_write, "$pid\n";
            my $none = waitpid $pid, Linux::Clone::__WALL();
            complain("a sibling is waited for: $none") if $none != -1;
        }
        elsif (!$flags->{THREAD}) {
            wait_for($pid, $outcome, $how, $pidfd);
        }
        for my $sibling ($flags->{PARENT} ? () : @{ $outcome->{siblings} // [] }) {
            my $id = '';
            while (sysread $note_read, my $digit, 1) {
                last if $digit eq "\n";
                $id .= $digit;
            }
            reap($id, $sibling->[0]);
        }
        POSIX::close($pidfd) if defined $outcome->{pidfd};
        return;
    };
}

# In one of several ways.
sub wait_for {
    my ($pid, $outcome, $how, $pidfd) = @_;
    my ($status, $gone) = @$outcome{qw(status gone)};
    if ($how == 1 && $outcome->{plain}) {
        return reap($pid, $status, $gone, 0);
    }
    if ($how == 2 && !$gone) {
        my ($idtype, $id) = defined $outcome->{pidfd} ? (Linux::Clone::P_PIDFD(), $pidfd) : (Linux::Clone::P_PID(), $pid);
        # first look, then take
        for my $more (Linux::Clone::WNOWAIT(), 0) {
            my @found = Linux::Clone::waitid($idtype, $id, Linux::Clone::WEXITED() | Linux::Clone::__WALL() | $more);
            my $end = @found ? ($found[2] == Linux::Clone::CLD_EXITED() ? 'exit ' : 'signal ') . $found[3] : "refused: $!";
            complain("waitid tells $end of @found, not $status of $pid") if $end ne $status || $found[0] != $pid;
        }
        return;
    }
    if ($how == 3 && !$gone) {
        my $n = 0;
        my $got;
        while (!($got = waitpid $pid, POSIX::WNOHANG() | Linux::Clone::__WALL())) {
            return complain("$pid does not end") if $n++ > 60_000;
            Time::HiRes::sleep(0.001);
        }
        my $end = $got == $pid ? ended() : "waitpid returns $got";
        return complain("$pid ends by $end, not $status") if $end ne $status;
        return;
    }
    return reap($pid, $status, $gone);
}

1;

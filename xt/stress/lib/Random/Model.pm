package Random::Model;

# What must be true of a process. A model is a hash:
#
#   kind     main; copy; guest (VM|VFORK: in its parent's memory); thread (also THREAD)
#   shared   its memory is its parent's (not so of a process that a guest has forked)
#   mem      variables of %G, and buf: what is printed but not yet written
#   fs       cwd, umask                             } parent and child have one hash
#   files    fds: number => target; extra: numbers  } where they share the thing itself
#   sig      NAME => DEFAULT, IGNORE, count (perl code that counts), code (other perl code)
#   said     what %SIG says of those that only the main process sets
#   mask     number => 1; pending: likewise, those that have come
#   ns       kind => a name of our own; owner: kind => that of the user namespace that owns it
#   caps     it has all capabilities in its user namespace; mapped: its ids are mapped there
#   pid1     it is process 1 of a namespace; next_pid: fresh or dead, after unshare(NEWPID)
#   objs     names of the objects that live in it; own: how many of them are older than it
#   evals    how many evals of its own it is in; nodie: it must not leave what it is in
#   parent   its parent's model

use strict;
use warnings;

use Config ();
use Exporter 'import';
use ProcessTest qw(%namespace_file slurp status_field open_files);

our @EXPORT = qw(%flag_of %NUMBER %G $OUT new_model child_of deliver rules ends_by flush_buffer unshared log_objects
    expected real differences %ns_link @out_text @log_text @err_text complain namespaces);

our (%G, $OUT);
our %NUMBER;
@NUMBER{ split ' ', $Config::Config{sig_name} } = split ' ', $Config::Config{sig_num};

# the default of these is not death; all others that are used here kill
my %quiet = map { $_ => 1 } qw(CHLD URG WINCH CONT);

# what must have been written, logged by destructors and END blocks in any order, and said to STDERR
our (@out_text, @log_text, @err_text);

# where a namespace's name of our own is in the kernel
our %ns_link;

our $report;    # a descriptor

sub complain {
    my ($text) = @_;
    POSIX::write($report, "WRONG in process $$: $text\n", length("WRONG in process $$: $text\n"));
    return;
}

my @kinds;

sub namespaces {
    @kinds = grep { -e "/proc/self/ns/$_" } qw(cgroup ipc mnt net pid time user uts) if !@kinds;
    return @kinds;
}

sub new_model {
    my $real = real();
    my %model = (
        kind     => 'main', depth => 0, shared => 0, evals => 0, nodie => 0, own => 0,
        mem      => {%G}, fs => { cwd => $real->{cwd}, umask => $real->{umask} }, files => { fds => { %{ $real->{fds} } }, extra => [] },
        sig      => {}, pending => {}, mask => { map { $_ => 1 } split ' ', $real->{blocked} },
        ns       => {}, owner => {}, mapped => 1, pid1 => $$ == 1, next_pid => '', objs => [], exit_sig => 'CHLD',
        fs_shared => 0,
    );
    my %ignored = map { $_ => 1 } split ' ', $real->{ignored};
    $model{sig}{$_} = $ignored{ $NUMBER{$_} } ? 'IGNORE' : 'DEFAULT' for keys %NUMBER;
    for my $kind (namespaces()) {
        $model{ns}{$kind} = "first $kind";
        $model{owner}{$kind} = 'first user';
        $ns_link{"first $kind"} = $real->{"ns $kind"};
    }
    $model{caps} = hex(substr status_field('CapEff'), -6) >> 21 & 1;    # CAP_SYS_ADMIN
    return \%model;
}

my $names = 0;
my %user_parent;    # of user namespaces

# Whether the process has all capabilities over what that user namespace owns.
sub rules {
    my ($model, $user) = @_;
    return 0 if !$model->{caps};
    $user = $user_parent{$user} while defined $user && $user ne $model->{ns}{user};
    return defined $user;
}

# by the file in /proc/PID/ns
our %flag_of = (reverse(%namespace_file), time => 'NEWTIME');

# The model moves to the namespaces of these flags.
sub new_namespaces {
    my ($model, $flags) = @_;
    if ($flags->{NEWUSER}) {
        @$model{qw(caps mapped)} = (1, 0);
        my $user = 'user ' . $names++;
        $user_parent{$user} = $model->{ns}{user};
        $model->{ns}{user} = $model->{owner}{user} = $user;
    }
    for my $kind (grep { $_ ne 'user' && $flags->{ $flag_of{$_} } } namespaces()) {
        $model->{ns}{$kind} = "$kind " . $names++;
        $model->{owner}{$kind} = $model->{ns}{user};
    }
    return;
}

# The model of a child that is cloned with these flags (names => 1).
sub child_of {
    my ($parent, $kind, $flags) = @_;
    my $guest = $kind eq 'guest' || $kind eq 'thread';
    my %child = (
        %$parent, kind => $kind, parent => $parent, depth => $parent->{depth} + 1, shared => $guest, evals => 0, nodie => 0, adopted => [],
        mem       => $guest ? $parent->{mem} : { %{ $parent->{mem} } },
        # what its host has printed when a guest's handles become its own; what it prints is lost if it is killed
        parted    => $guest && !$flags->{FILES} ? '' : undef,
        fs        => $flags->{FS} ? $parent->{fs} : { %{ $parent->{fs} } },
        files     => $flags->{FILES} ? $parent->{files} : { fds => { %{ $parent->{files}{fds} } }, extra => [ @{ $parent->{files}{extra} } ] },
        sig       => { %{ $parent->{sig} } }, pending => {}, mask => { %{ $parent->{mask} } }, ns => { %{ $parent->{ns} } }, owner => { %{ $parent->{owner} } },
        objs      => [ @{ $parent->{objs} } ], own => scalar @{ $parent->{objs} },
        pid1      => $kind eq 'thread' ? $parent->{pid1} : $flags->{NEWPID} || $parent->{next_pid} eq 'fresh', next_pid => '',
        fs_shared => !!$flags->{FS}, sighand => !!$flags->{SIGHAND}, below_guest => $guest || $parent->{below_guest},
    );
    if ($flags->{SIGHAND}) {
        $child{mask} = { map { $_ => 1 } grep { $_ != 9 && $_ != 19 && $_ != 32 && $_ != 33 } 1 .. 64 };
    }
    elsif ($guest || $flags->{CLEAR_SIGHAND}) {
        $_ eq 'count' || $_ eq 'code' and $_ = 'DEFAULT' for values %{ $child{sig} };
    }
    $child{said} = { %{ $parent->{sig} } } if $parent->{kind} eq 'main';
    new_namespaces(\%child, $flags);
    if ($parent->{next_pid} eq 'fresh' && $kind ne 'thread') {
        $child{ns}{pid} = 'pid ' . $names++;
        $child{owner}{pid} = $child{ns}{user};
    }
    return \%child;
}

# A signal comes: true if the process ends of it.
sub deliver {
    my ($model, $name) = @_;
    return !$model->{pid1} if $name eq 'KILL';
    my ($what, $number) = ($model->{sig}{$name}, $NUMBER{$name});
    if ($model->{mask}{$number}) {
        # the kernel does not send what says that a child is gone where nobody wants to know
        $model->{pending}{$number} = 1 if $name ne 'CHLD' || $what ne 'IGNORE';
        return 0;
    }
    $model->{mem}{"n_$name"}++ if $what eq 'count';
    return $what eq 'DEFAULT' && !$model->{pid1} && !$quiet{$name};
}

sub flush_buffer {
    my ($model) = @_;
    push @out_text, $model->{mem}{buf};
    $model->{mem}{buf} = '';
    return;
}

# Objects that go with the frames that hold them.
sub log_objects {
    my ($model, $from) = @_;
    push @log_text, splice @{ $model->{objs} }, $from;
    return;
}

# What the end of a process leaves behind: by return, die, exit, _exit, kill or exec.
sub ends_by {
    my ($model, $how) = @_;
    my $orderly = $how =~ /^(?:return|die|exit)$/;
    flush_buffer($model) if $orderly || $how eq 'exec';
    $model->{mem}{buf} = $model->{parted} if !$orderly && $how ne 'exec' && defined $model->{parted};
    if ($model->{kind} eq 'copy') {
        if ($how eq 'die' || $how eq 'exit') {
            push @log_text, 'END' if !$model->{no_end};
            log_objects($model, 0);
        }
    }
    elsif ($model->{shared} || $orderly) {
        # the frames are left, by the guest or by its host
        log_objects($model, $model->{own});
    }
    return;
}

# The model no longer shares what these flags name.
sub unshared {
    my ($model, $flags) = @_;
    if ($flags->{FS} || $flags->{NEWNS} || $flags->{NEWUSER}) {
        $model->{fs} = { %{ $model->{fs} } };
        $model->{fs_shared} = 0;
    }
    if ($flags->{FILES}) {
        $model->{parted} = $model->{mem}{buf} if $model->{shared} && !defined $model->{parted};
        my $files = $model->{files};
        $model->{files} = { fds => { %{ $files->{fds} } }, extra => [ @{ $files->{extra} } ] };
    }
    $model->{next_pid} = 'fresh' if $flags->{NEWPID};
    new_namespaces($model, { %$flags, NEWPID => 0, NEWTIME => 0 });
    return;
}

# ---- what is, and what should be ----

# The numbers of the bits of a hexadecimal mask, from 1.
sub signals_of {
    my ($hex) = @_;
    my @digits = reverse split //, $hex;
    # without 32 and 33, which the C library has for itself
    return join ' ', grep { $_ != 32 && $_ != 33 && hex($digits[ ($_ - 1) / 4 ]) >> ($_ - 1) % 4 & 1 } 1 .. 4 * @digits;
}

# The process as it is.
sub real {
    local ($!, $@);
    my %real;
    my $status = slurp('/proc/self/status');
    # one that comes while this is read is delivered when the call returns
    $status = slurp('/proc/self/status') if $status =~ /^(?:SigPnd|ShdPnd):\s*0*[1-9a-f]/m;
    for ([ blocked => 'SigBlk' ], [ ignored => 'SigIgn' ], [ caught => 'SigCgt' ]) {
        my ($name, $line) = @$_;
        $real{$name} = signals_of($status =~ /^$line:\s*(\S+)/m);
    }
    my %pending = map { $_ => 1 } map { split ' ', signals_of($_) } $status =~ /^(?:SigPnd|ShdPnd):\s*(\S+)/mg;
    $real{pending} = join ' ', sort { $a <=> $b } keys %pending;
    $real{cwd}   = readlink '/proc/self/cwd';
    $real{umask} = umask;
    $real{fds} = { open_files() };
    # the path of a file is another once its mount namespace is gone
    for (values %{ $real{fds} }) { $_ = /pidfd/ ? 'pidfd' : m{/zero$} ? 'zero' : $_ }
    $real{"ns $_"} = readlink "/proc/self/ns/$_" for namespaces();
    return \%real;
}

# As real says it.
sub expected {
    my ($model) = @_;
    my $numbers = sub {
        my %wanted = map { $_ => 1 } @_;
        return join ' ', sort { $a <=> $b } map { $NUMBER{$_} } grep { $wanted{ $model->{sig}{$_} } && $_ ne 'ZERO' } unique_signals();
    };
    return {
        blocked => join(' ', sort { $a <=> $b } grep { $model->{mask}{$_} } keys %{ $model->{mask} }),
        pending => join(' ', sort { $a <=> $b } keys %{ $model->{pending} }),
        ignored => $numbers->('IGNORE'),
        # a guest has handlers of its own, which see to it that it dies in order, and so have its copies
        $model->{below_guest} ? () : (caught => $numbers->('count', 'code')),
        cwd   => $model->{fs}{cwd},
        umask => $model->{fs}{umask},
        fds   => { %{ $model->{files}{fds} } },
        map { ("ns $_" => $model->{ns}{$_}) } namespaces(),
    };
}

my @unique_signals;

# Some have two names.
sub unique_signals {
    return @unique_signals if @unique_signals;
    my %seen;
    return @unique_signals = grep { !$seen{ $NUMBER{$_} }++ } split ' ', $Config::Config{sig_name};
}

# Where the process is not what is expected: '' if it is nowhere.
sub differences {
    my ($expected) = @_;
    my $real = real();
    my @wrong;
    for my $key (sort keys %$expected) {
        my ($is, $should) = ($real->{$key}, $expected->{$key});
        if ($key eq 'fds') {
            for my $fd (sort { $a <=> $b } keys %{ { %$is, %$should } }) {
                my ($a, $b) = ($is->{$fd} // 'closed', $should->{$fd} // 'closed');
                push @wrong, "descriptor $fd is $a, not $b" if $a ne $b;
            }
            next;
        }
        if ($key =~ /^ns /) {
            # a namespace that is new to us must be no old one
            if (!defined $ns_link{$should}) {
                push @wrong, "$key is the first one" if $is eq $ns_link{ "first " . substr $key, 3 };
                $ns_link{$should} = $is;
            }
            $should = $ns_link{$should};
        }
        push @wrong, "$key is $is, not $should" if $is ne $should;
    }
    return join '; ', @wrong;
}

1;

# Bad input: every argument of every function with everything that it should not be. Each call
# croaks where it stands and says what is wrong with which argument, or does what the manual says
# of such a value; and in the parent nothing is created and nothing is left.
use strict;
use warnings;
no warnings qw(portable once);
use feature 'refaliasing';
no warnings 'experimental::refaliasing';
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../perlxs-rs/tests/lib";
use Test::More;
use CloneTest qw(mappings stacks descriptors children perl_output);
use BadInput;
use PerlXS::Test qw(sv_count);    # `make test_dynamic` builds it
use Config;
use Linux::Clone ();
use POSIX qw(SIGCHLD);

# (%! has loaded Errno)
my %name = map { Errno->can($_)->() => $_ } grep { !/^(?:EWOULDBLOCK|EDEADLOCK|ENOTSUP)$/ } keys %!;
my @values = values_and_meanings();
my $sub = sub { 7 };
my ($sighand, $vm) = (Linux::Clone::SIGHAND, Linux::Clone::VM | Linux::Clone::VFORK);
# no function shall get far: the kernel refuses SIGHAND without VM
my $refused = $sighand | SIGCHLD;

# as exit signals, numbers among the values must not end this process
my @ignored = grep { !/^(?:ZERO|KILL|STOP|CHLD|CLD|ALRM|NUM\d+)$/ } split ' ', $Config{sig_name};
@SIG{@ignored} = ('IGNORE') x @ignored;
my $ended = 0;
$SIG{CHLD} = sub { $ended++ };

# ---- what a call does, in a word ----

# What the kernel answers: a number, or the name of the errno.
sub answer {
    my ($value) = @_;
    return defined $value && $value == -1 ? $name{ $! + 0 } : $value;
}

# Of a new descriptor: 'fd'.
sub new_fd {
    my ($fd) = @_;
    return answer($fd) if $fd == -1;
    POSIX::close($fd);
    return 'fd';
}

# Of a child: its exit status.
sub new_child {
    my ($pid) = @_;
    return answer($pid) if $pid == -1;
    waitpid $pid, Linux::Clone::__WALL;
    return $? & 127 ? "signal $?" : 'exit ' . ($? >> 8);
}

# Of spawn: its child's, or the errno.
sub spawned {
    my ($child) = @_;
    return $name{ $! + 0 } if !$child;
    $child->wait;
    return $? & 127 ? "signal $?" : 'exit ' . ($? >> 8);
}

# Calls the code with a value, and tells the outcome: as above, or the exception.
sub outcome {
    my ($code, $give) = @_;
    my $outcome;
    $! = 0;
    eval { $give->(sub { $outcome = &$code }); 1 } or $outcome = "$@";
    return $outcome;
}

# A hash with the caller's own scalar as the value of a key; a glob is copied.
sub hash_of {
    my ($others, $key) = (shift, shift);
    my %hash = %$others;
    if (ref \$_[0] eq 'GLOB') {
        $hash{$key} = $_[0];
    }
    else {
        \$hash{$key} = \$_[0];
    }
    return \%hash;
}

# An array of the caller's own scalars.
sub array_of { return \@_ }

# ---- what an argument of a kind makes of a value ----

# Each kind is a sub of the value's meaning, of how the message names the argument, and of what the
# call comes to if the value is taken: that may depend on it. It returns the outcome, or a pattern.

sub croak {
    my ($message) = @_;
    return qr/\ALinux::Clone::$message at \Q$0\E line \d+\.\n\z/;
}

sub taken {
    my ($accepted, $value) = @_;
    return ref $accepted eq 'CODE' ? $accepted->($value) : $accepted;
}

sub integer {
    my ($least, $most, $constant_undef) = @_;
    return sub {
        my ($value, $argument, $accepted) = @_;
        return taken($accepted, $constant_undef) if defined $constant_undef && $value->{is_constant_undef};
        my $n = $value->{number};
        return $n if ref $n;
        return croak("$argument must be an integer, not $value->{said}") if $n =~ /^[a-z]/;
        return croak("$argument is out of range: $value->{said}") if $n < $least || $n > $most;
        return taken($accepted, $n);
    };
}

my ($i32, $u32) = map { integer(@$_) } [ -(1 << 31), (1 << 31) - 1 ], [ 0, (1 << 32) - 1 ];
my $optional_u32 = integer(0, (1 << 32) - 1, 0);
my $bits = integer(-(1 << 62) * 2, ~0);

sub stack_size {
    my ($value, $argument, $accepted) = @_;
    my $n = $value->{number};
    return $n if ref $n;
    return taken($accepted, 0) if $n eq 'undef';
    return croak("$argument must be an integer, not $value->{said}") if $n =~ /^[a-z]/;
    return croak("$argument is negative: -\\d+") if $n < 0;
    # between what any machine has and what no address space has it is the system's limits that say
    return $n < 1 << 28 ? taken($accepted, $n) : $n >= 1 << 47 ? 'ENOMEM' : qr/\A(?:ENOMEM|\Q@{[ taken($accepted, $n) ]}\E)\z/;
}

sub descriptor {
    my ($value, $argument, $accepted) = @_;
    my ($handle, $n) = @$value{qw(handle number)};
    return $handle if ref $handle;
    return 'EBADF' if $handle eq 'closed';
    return taken($accepted, $handle) if $handle ne 'none';
    return croak("$argument must be a handle or the number of a descriptor, not $value->{said}") if $n =~ /^[a-z]/;
    return croak("$argument is out of range: $value->{said}") if $n < -(1 << 31) || $n >= 1 << 31;
    return taken($accepted, $n);
}

sub a_signal {
    my ($least, $most) = @_;
    return sub {
        my ($value, $argument, $accepted) = @_;
        my $n = $value->{number};
        return $n if ref $n;
        return croak("$argument must be the number or the name of a signal, not $value->{said}") if $n =~ /^[a-z]/;
        return croak("$argument is out of range: $value->{said}") if $n < $least || $n > $most;
        return taken($accepted, $n);
    };
}
my $any_signal = a_signal(-(1 << 31), (1 << 31) - 1);

sub a_string {
    my ($what) = @_;
    return sub {
        my ($value, $argument, $accepted) = @_;
        my $string = $value->{string};
        return $string if ref $string;
        return croak("$argument must be $what, not $value->{said}") if !defined $string;
        return croak("$argument has a NUL: $value->{said}") if $string =~ /\0/;
        return taken($accepted, $string);
    };
}

sub interface {
    my ($value, $argument, $accepted) = @_;
    my $string = $value->{string};
    return $string if ref $string;
    return taken($accepted) if defined $string && $string =~ /\A[^\0]{1,15}\z/s;
    return croak("$argument must be the name of an interface, 1 to 15 bytes without a NUL, not $value->{said}");
}

sub code {
    my ($value, $argument, $accepted) = @_;
    return $value->{code} if ref $value->{code};
    return taken($accepted) if $value->{code};
    return croak("$argument must be a CODE reference or the name of a defined sub, not $value->{said}");
}

# A variable to store in; what is read-only by magic is perl's to refuse.
sub variable {
    my ($value, $message, $accepted) = @_;
    my $can = $value->{assignable};
    return taken($accepted) if $can eq '1';
    my $croak = croak($message);
    return qr/$croak|\A\Q@{[ taken($accepted) ]}\E\z/ if $can eq 'perhaps';
    return $can =~ /^Modification|^glob/ ? qr/$croak|\AModification of a read-only value attempted/ : qr/\A\Q@{[ $can =~ s{ at .*}{}sr ]}\E at /;
}

sub output {
    my ($value, $argument, $accepted) = @_;
    return taken($accepted) if $value->{is_constant_undef};
    return variable($value, "$argument cannot be assigned to: it is read-only or a glob \\($value->{said}\\)", $accepted);
}

# A reference to a variable.
sub reference {
    my ($value, $argument, $accepted) = @_;
    my $copy = $value->{copy};
    return $copy if ref $copy eq 'Regexp' && $value->{name} ne 'a pattern';
    my $what = ref $copy && $copy ne 'object' ? ref $copy : '';
    return croak("$argument cannot be assigned to: it is read-only or a glob \\(.+\\)")
        if $what eq 'GLOB' || $what eq 'SCALAR' && Internals::SvREADONLY($$copy) || $what eq 'VSTRING';
    return taken($accepted) if $what =~ /^(?:SCALAR|LVALUE)$/;
    return croak("$argument must be a reference to a scalar, not $value->{said}");
}

sub child_tid {
    my ($value, $argument, $accepted) = @_;
    return croak("$argument->[0] needs $argument->[1]") if $value->{is_constant_undef};
    my $n = $value->{number};
    return $n if ref $n;
    return croak("$argument->[2] is no address of a word in memory: $value->{said}") if $n =~ /^[^a-z]/ && $n > 1 << 22;
    return variable($value, "$argument->[2] is neither a variable nor an address: $value->{said}", $accepted);
}

# clone3's: a reference to one, or an address.
sub child_tid_reference {
    my ($value, $argument, $accepted) = @_;
    my $n = $value->{number};
    my $refers = reference($value, $argument, $accepted);
    return $refers if !ref $refers;
    return croak("$argument is neither a variable nor an address: .+") if "$refers" =~ /cannot be assigned/;
    return $n if ref $n;
    return croak("$argument is no address of a word in memory: $value->{said}") if $n =~ /^[^a-z]/ && $n > 1 << 22;
    return croak("$argument must be a reference to a scalar or an address, not $value->{said}");
}

# None of the values is one.
sub address {
    my ($value, $argument) = @_;
    return croak("$argument->[0] needs $argument->[1]") if $value->{is_constant_undef} && ref $argument;
    return $value->{number} if ref $value->{number};
    return croak((ref $argument ? $argument->[2] : $argument) . " is no address in memory: $value->{said}");
}

# A reference to an array or a hash that is no object.
sub aggregate {
    my ($type, $message) = @_;
    return sub {
        my ($value, $argument, $accepted) = @_;
        my $copy = $value->{copy};
        return $copy if ref $copy eq 'Regexp' && $value->{name} ne 'a pattern';
        return taken($accepted, $copy) if ref $copy eq $type;
        return croak("$argument $message, not $value->{said}");
    };
}

sub thread_id {
    my ($value, $argument, $accepted) = @_;
    my $n = $value->{number};
    return $n if ref $n;
    return taken($accepted, $n) if $n !~ /^[a-z]/ && abs $n < 1 << 31;
    return croak("$argument must be a reference to an array of thread ids, not $value->{said}");
}

sub truth {
    my ($value, $argument, $accepted) = @_;
    return ref $value->{true} ? $value->{true} : taken($accepted, $value->{true});
}

# Where anything will do, and nothing is looked at.
sub anything { return taken($_[2]) }

# An option of spawn: undef is as not given.
sub option {
    my ($kind) = @_;
    return sub {
        my ($value, $argument, $accepted) = @_;
        my $copy = $value->{copy};
        return $copy if ref $copy eq 'Regexp' && $value->{name} ne 'a pattern';
        return taken($accepted) if !defined $copy;
        return $kind->(@_);
    };
}

# ---- the arguments ----

# Each: what it is; its kind; how messages name it, a pattern; what a call comes to that takes the
# value; the call, with the value in $_[0]. `stringified` says that the caller has made it a string.
my @arguments;
sub argument { push @arguments, [ @_ ]; return }

# clone
my ($address, $clone) = ($Config{archname} !~ /^i[3-6]86/, 'clone: ');
argument 'clone: $coderef', \&code, 'clone: \$coderef', 'EINVAL', sub { answer(Linux::Clone::clone($_[0], 0, $refused)) };
argument 'clone: $stacksize', \&stack_size, 'clone: \$stacksize', 'EINVAL', sub { answer(Linux::Clone::clone($sub, $_[0], $refused)) };
argument 'clone: $flags', $bits, 'clone: \$flags', sub {
    my ($n) = @_;
    return croak('clone: \$flags has bits above the 32 that clone\(2\) reads: 0x[0-9a-f]+') if $n < 0 || $n >= 1 << 32;
    return 'exit 7';
}, sub { new_child(Linux::Clone::clone($sub, 0, $_[0])) };
argument 'clone: $ptid', \&output, 'clone: \$ptid', 'EINVAL', sub { answer(Linux::Clone::clone($sub, 0, $refused, $_[0])) };
argument 'clone: $ptid with PIDFD', sub { $_[0]{is_constant_undef} ? croak('clone: PIDFD needs \$ptid: it receives the descriptor') : &output }, 'clone: \$ptid', 'EINVAL',
    sub { answer(Linux::Clone::clone($sub, 0, $refused | Linux::Clone::PIDFD, $_[0])) };
argument 'clone: $tls', \&address, [ 'clone: SETTLS', '\$tls', 'clone: \$tls' ], undef,
    sub { answer(Linux::Clone::clone($sub, 0, $refused | Linux::Clone::SETTLS, undef, $_[0])) } if $address;
for my $flag (qw(CHILD_SETTID CHILD_CLEARTID)) {
    my $flags = $refused | Linux::Clone->can($flag)->();
    argument "clone: \$ctid with $flag", \&child_tid, [ "clone: $flag", '\$ctid', 'clone: \$ctid' ], 'EINVAL',
        sub { answer(Linux::Clone::clone($sub, 0, $flags, undef, undef, $_[0])) };
}
argument 'clone: $tls that nothing reads', \&anything, '', 'EINVAL', sub { answer(Linux::Clone::clone($sub, 0, $refused, undef, $_[0])) };
argument 'clone: $ctid that nothing reads', \&anything, '', 'EINVAL', sub { answer(Linux::Clone::clone($sub, 0, $refused, undef, undef, $_[0])) };

# clone3: EINVAL too, where the kernel has it
my %refused3 = (flags => $sighand);
my $einval3 = answer(Linux::Clone::clone3($sub, {%refused3}));
like $einval3, qr/\A(?:EINVAL|ENOSYS|EPERM)\z/, "clone3 answers $einval3";
my $child3 = $einval3 eq 'EINVAL' ? 'exit 7' : $einval3;
sub clone3_with { my ($key) = shift; return answer(Linux::Clone::clone3($sub, hash_of(\%refused3, $key, $_[0]))) }
argument 'clone3: $coderef', \&code, 'clone3: \$coderef', $einval3, sub { answer(Linux::Clone::clone3($_[0], \%refused3)) };
argument 'clone3: the hash', aggregate('HASH', 'must be a reference to a hash'), 'clone3: the second argument',
    croak('clone3: there is no "nonsense" in struct clone_args'), sub { answer(Linux::Clone::clone3($sub, $_[0])) };
argument 'clone3: a key', sub {
    my ($value) = @_;
    return $value->{string} if ref $value->{string};
    return croak('clone3: there is no ".*"(?:\.\.\.)? in struct clone_args');
}, '', undef, sub { no warnings 'uninitialized'; my %hash = ("$_[0]" => 1); answer(Linux::Clone::clone3($sub, \%hash)) }, 'stringified';
argument 'clone3: flags', $bits, 'clone3: flags', sub {
    my ($n) = @_;
    return croak('clone3: SETTLS with VM would give .*') if $n & Linux::Clone::VM && $n & Linux::Clone::SETTLS;
    # IO, CLEAR_SIGHAND
    return $n == 0 || $n == 1 << 31 || $n == 1 << 32 ? $child3 : $einval3;
}, sub { new_child(Linux::Clone::clone3($sub, hash_of({}, 'flags', $_[0]))) };
argument 'clone3: exit_signal', $bits, 'clone3: exit_signal', sub { $_[0] < 0 || $_[0] > 64 ? $einval3 : $child3 },
    sub { new_child(Linux::Clone::clone3($sub, hash_of({}, 'exit_signal', $_[0]))) };
argument 'clone3: stack_size', \&stack_size, 'clone3: stack_size', $einval3, sub { clone3_with(stack_size => $_[0]) };
argument 'clone3: pidfd', \&reference, 'clone3: pidfd', $einval3, sub { clone3_with(pidfd => $_[0]) };
argument 'clone3: parent_tid', \&reference, 'clone3: parent_tid', $einval3, sub { clone3_with(parent_tid => $_[0]) };
argument 'clone3: child_tid', \&child_tid_reference, 'clone3: child_tid', $einval3, sub { clone3_with(child_tid => $_[0]) };
argument 'clone3: tls', \&address, 'clone3: tls', undef, sub { clone3_with(tls => $_[0]) } if $address;
argument 'clone3: set_tid', aggregate('ARRAY', 'must be a reference to an array of thread ids'), 'clone3: set_tid', sub {
    my ($ids) = @_;
    return @$ids ? croak('clone3: set_tid must be a reference to an array of thread ids, not a reference to an ARRAY') : $einval3;
}, sub { clone3_with(set_tid => $_[0]) };
argument 'clone3: an id of set_tid', \&thread_id, 'clone3: set_tid', $einval3, sub { clone3_with(set_tid => array_of(1, $_[0])) };
argument 'clone3: cgroup', \&descriptor, 'clone3: cgroup', $einval3, sub { clone3_with(cgroup => $_[0]) };

argument 'unshare: $flags', $bits, 'unshare: \$flags', sub { $_[0] == 0 ? 0 : 'EINVAL' }, sub { answer(Linux::Clone::unshare($_[0])) };

# pidfds: one of this process, with a number that no value is
my $own = Linux::Clone::pidfd_open($$);
SKIP: {
    skip "the kernel opens no pidfd: $name{ $! + 0 }", 1 if $own == -1;
    my $pidfd = POSIX::dup2($own, 200);
    POSIX::close($own);
    argument 'pidfd_open: $pid', $i32, 'pidfd_open: \$pid', sub { $_[0] < 1 ? 'EINVAL' : qr/\A(?:fd|ESRCH|EINVAL|ENOENT)\z/ }, sub { new_fd(Linux::Clone::pidfd_open($_[0])) };
    argument 'pidfd_open: $flags', $optional_u32, 'pidfd_open: \$flags', sub { $_[0] == 0 ? 'fd' : 'EINVAL' }, sub { new_fd(Linux::Clone::pidfd_open($$, $_[0])) };
    argument 'pidfd_send_signal: $pidfd', \&descriptor, 'pidfd_send_signal: \$pidfd', 'EBADF', sub { answer(Linux::Clone::pidfd_send_signal($_[0], 0)) };
    # (1, 2 and 4 are flags of newer kernels)
    argument 'pidfd_send_signal: $flags', $optional_u32, 'pidfd_send_signal: \$flags', sub { !$_[0] ? 0 : $_[0] =~ /^[124]$/ ? qr/\A(?:0|EINVAL)\z/ : 'EINVAL' },
        sub { answer(Linux::Clone::pidfd_send_signal($pidfd, 0, $_[0])) };
    # not one whose number is among the values, as in a new PID namespace
    my $zombie = CloneTest::spawn(sub { 0 });
    for (; $zombie < 20; $zombie = CloneTest::spawn(sub { 0 })) { waitpid $zombie, 0 }
    my $its = Linux::Clone::pidfd_open($zombie);
    Linux::Clone::waitid(Linux::Clone::P_PID, $zombie, Linux::Clone::WEXITED | Linux::Clone::WNOWAIT);
    argument 'pidfd_send_signal: $sig', $any_signal, 'pidfd_send_signal: \$sig', sub { $_[0] < 0 || $_[0] > 64 ? 'EINVAL' : 0 },
        sub { answer(Linux::Clone::pidfd_send_signal($its, $_[0])) };
    pass 'pidfds are tried';
}

# waitid: this process is not its own child
sub waited { my @found = Linux::Clone::waitid($_[0], $_[1], $_[2]); return @found ? "@found" : $name{ $! + 0 } }
my $nobody = Linux::Clone::WEXITED | Linux::Clone::WNOHANG;
argument 'waitid: $idtype', $i32, 'waitid: \$idtype', sub { my ($n) = @_; $n == 2 || $n == 1 ? 'ECHILD' : $n == 3 ? qr/\A(?:EBADF|EINVAL)\z/ : $n == 0 ? qr/\A(?:0 0 0 0|ECHILD)\z/ : 'EINVAL' },
    sub { waited($_[0], $$, Linux::Clone::WCONTINUED | Linux::Clone::WNOHANG) };
argument 'waitid: $id', $i32, 'waitid: \$id', sub { $_[0] < 1 ? 'EINVAL' : 'ECHILD' }, sub { waited(Linux::Clone::P_PID, $_[0], $nobody) };
argument 'waitid: $id of a group', $i32, 'waitid: \$id', sub { $_[0] < 0 ? 'EINVAL' : qr/\A(?:ECHILD|EINVAL|0 0 0 0)\z/ }, sub { waited(Linux::Clone::P_PGID, $_[0], Linux::Clone::WCONTINUED | Linux::Clone::WNOHANG) };
argument 'waitid: $id of a pidfd', \&descriptor, 'waitid: \$id', qr/\A(?:EBADF|EINVAL)\z/, sub { waited(Linux::Clone::P_PIDFD, $_[0], $nobody) };
argument 'waitid: $id with P_ALL', \&anything, '', qr/\A(?:0 0 0 0|ECHILD)\z/, sub { waited(Linux::Clone::P_ALL, $_[0], Linux::Clone::WCONTINUED | Linux::Clone::WNOHANG) };
my $known = 0;
$known |= Linux::Clone->can($_)->() for qw(WEXITED WSTOPPED WCONTINUED WNOHANG WNOWAIT __WALL __WCLONE __WNOTHREAD);
argument 'waitid: $options', $u32, 'waitid: \$options', sub {
    my ($n) = @_;
    return $n & ~$known || !($n & (Linux::Clone::WEXITED | Linux::Clone::WSTOPPED | Linux::Clone::WCONTINUED)) ? 'EINVAL' : 'ECHILD';
}, sub { waited(Linux::Clone::P_PID, $$, $_[0]) };

# what is done to namespaces, to nobody's
open my $null, '<', '/dev/null' or die $!;
argument 'setns: $fh_or_fd', \&descriptor, 'setns: \$fh_or_fd', qr/\A(?:EBADF|EINVAL)\z/, sub { answer(Linux::Clone::setns($_[0])) };
argument 'setns: $nstype', $optional_u32, 'setns: \$nstype', 'EINVAL', sub { answer(Linux::Clone::setns($null, $_[0])) };
for my $function (map { "ns_get_$_" } qw(userns parent nstype owner_uid)) {
    my $code = Linux::Clone->can($function);
    argument "$function: \$fh_or_fd", \&descriptor, "$function: \\\$fh_or_fd", qr/\A(?:EBADF|ENOTTY|EINVAL)\z/, sub { answer($code->($_[0])) };
}
my $directory = a_string('the name of a directory');
my $no_pivot = $> == 0 ? qr/\A(?:EPERM|ENOENT|ENAMETOOLONG)\z/ : 'EPERM';
argument 'pivot_root: $new_root', $directory, 'pivot_root: \$new_root', $no_pivot, sub { answer(Linux::Clone::pivot_root($_[0], '/no/such')) };
argument 'pivot_root: $old_root', $directory, 'pivot_root: \$old_root', $no_pivot, sub { answer(Linux::Clone::pivot_root('/no/such', $_[0])) };

# kcmp, where the kernel has it
my $same = answer(Linux::Clone::kcmp($$, $$, Linux::Clone::KCMP_VM));
my $cmp = $same eq '0' ? sub { $_[0] } : sub { $same };
for my $n (1, 2) {
    argument "kcmp: \$pid$n", $i32, "kcmp: \\\$pid$n", $cmp->(qr/\A(?:[0-3]|ESRCH|EPERM)\z/),
        sub { my @pids = $n == 1 ? \($_[0], $$) : \($$, $_[0]); answer(Linux::Clone::kcmp(${ $pids[0] }, ${ $pids[1] }, Linux::Clone::KCMP_VM)) };
}
argument 'kcmp: $type', $i32, 'kcmp: \$type', sub { $cmp->($_[0] >= 0 && $_[0] < 7 ? qr/\A(?:0|EBADF|EOPNOTSUPP)\z/ : qr/\A(?:EINVAL|EFAULT|EBADF)\z/) }, sub { answer(Linux::Clone::kcmp($$, $$, $_[0])) };
my $compared = sub { $cmp->(defined $_[0] && $_[0] < 0 ? 'EBADF' : qr/\A(?:[0-3]|EBADF)\z/) };
# -1 and others would be a descriptor, undef 0
my $an_index = sub { $_[0]{is_constant_undef} ? taken($_[2], 0) : &descriptor };
argument 'kcmp: $idx1 with KCMP_FILE', $an_index, 'kcmp: \$idx1', $compared, sub { answer(Linux::Clone::kcmp($$, $$, Linux::Clone::KCMP_FILE, $_[0], 0)) };
argument 'kcmp: $idx2 with KCMP_FILE', $an_index, 'kcmp: \$idx2', $compared, sub { answer(Linux::Clone::kcmp($$, $$, Linux::Clone::KCMP_FILE, 0, $_[0])) };
my $optional_bits = integer(-(1 << 62) * 2, ~0, 0);
argument 'kcmp: $idx1 with KCMP_VM', $optional_bits, 'kcmp: \$idx1', $same, sub { answer(Linux::Clone::kcmp($$, $$, Linux::Clone::KCMP_VM, $_[0], 0)) };
argument 'kcmp: $idx2 with KCMP_VM', $optional_bits, 'kcmp: \$idx2', $same, sub { answer(Linux::Clone::kcmp($$, $$, Linux::Clone::KCMP_VM, 0, $_[0])) };
argument 'kcmp: $idx2 with KCMP_EPOLL_TFD', sub {
    my ($value, $argument, $accepted) = @_;
    my $n = $value->{number};
    return taken($accepted) if $value->{is_constant_undef};
    return $n if ref $n;
    if ($n =~ /^[a-z]/) {
        return $value->{string} if ref $value->{string};
        return taken($accepted) if length($value->{string} // '') == 12;
        return croak("$argument must be the 12 bytes of a struct kcmp_epoll_slot, or their address, not $value->{said}");
    }
    return croak("$argument is out of range: $value->{said}") if $n < 0 || $n > ~0;
    return taken($accepted);
}, 'kcmp: \$idx2', $cmp->(qr/\A(?:EFAULT|EBADF|ENOENT|EINVAL|EOPNOTSUPP)\z/), sub { answer(Linux::Clone::kcmp($$, $$, Linux::Clone::KCMP_EPOLL_TFD, $null, $_[0])) };

argument 'siocsifflags: $ifname', \&interface, 'siocsifflags: \$ifname', qr/\A(?:ENODEV|EPERM)\z/, sub { answer(Linux::Clone::siocsifflags($_[0])) };
argument 'siocsifflags: $flags', integer(0, 65535, 0), 'siocsifflags: \$flags', qr/\A(?:ENODEV|EPERM)\z/, sub { answer(Linux::Clone::siocsifflags('nosuch0', $_[0])) };

# spawn: what is taken gets to an option that there is not
my $read = croak('spawn: there is no option "taken"');
sub spawn_with { return spawned(Linux::Clone::spawn($_[0] => $_[1], taken => 1)) }
argument 'spawn: a name', sub {
    my ($value, $argument, $accepted) = @_;
    my $string = $value->{string};
    return $string if ref $string;
    return croak("spawn: the name of an option must be a string, not $value->{said}") if !defined $string;
    return croak('spawn: there is no option ".*"(?:\.\.\.)?');
}, '', undef, sub { spawned(Linux::Clone::spawn(code => $sub, $_[0] => 1)) };
my %options = (
    code         => \&code,
    flags        => sub {
        my ($value, $argument) = @_;
        my $outcome = $bits->($value, $argument, 'taken');
        return $outcome if ref $outcome;
        my $n = $value->{number};
        return $read if $n == 0 || $n == 1 << 31 || $n == 1 << 32;
        return croak('spawn: flags (?:has an exit signal: that is the option exit_signal|has unknown bits: 0x[0-9a-f]+|may not have [A-Z_|]+)');
    },
    stack_size   => sub { my $outcome = &stack_size; $outcome eq 'ENOMEM' || $outcome =~ /ENOMEM/ ? $read : $outcome },
    exit_signal  => a_signal(0, 64),
    parent_death => a_signal(1, 64),
    cgroup       => \&descriptor,
    set_tid      => aggregate('ARRAY', 'must be a reference to an array of thread ids'),
    time_offsets => aggregate('HASH', 'must be a reference to a hash'),
    env          => aggregate('HASH', 'must be a reference to a hash'),
    exec         => aggregate('ARRAY', 'must be a reference to an array of a program and its arguments'),
    hostname     => sub { my $outcome = a_string('a string')->(@_); my $string = $_[0]{string}; !ref $string && defined $string && length $string > 64 && $string !~ /\0/ ? croak('spawn: hostname has \d+ bytes, but 64 are the most') : $outcome },
    (map { $_ => a_string('a string') } qw(root cwd)),
    (map { $_ => \&truth } qw(loopback mount_proc vfork)),
    (map { $_ => \&descriptor } qw(stdin stdout stderr)),
);
my %taken = (
    set_tid => sub { @{ $_[0] // [] } ? croak('spawn: set_tid must be a reference to an array of thread ids, not a reference to an ARRAY') : $read },
    time_offsets => sub { $_[0] ? croak('spawn: time_offsets knows monotonic and boottime, not "nonsense"') : $read },
    exec    => sub { my ($words) = @_; !$words ? $read : @$words ? croak('spawn: exec must be a string, not a reference to an ARRAY') : croak('spawn: exec is empty: it needs a program') },
    (map { $_ => sub { defined $_[0] && !-e "/proc/self/fd/$_[0]" ? 'EBADF' : $read } } qw(stdin stdout stderr)),
);
for my $name (sort keys %options) {
    my $kind = $name =~ /^(?:stack_size|loopback|mount_proc|vfork)$/ ? $options{$name} : option($options{$name});
    argument "spawn: $name", $kind, "spawn: $name", $taken{$name} // $read, sub { spawn_with($name, $_[0]) };
}
for my $map (qw(uid_map gid_map)) {
    my $rows = "spawn: $map must be 'root', 'self' or a reference to an array of rows \\[inside, outside, count\\]";
    my $row = sub {
        my ($value) = @_;
        return $value->{copy} if ref $value->{copy} eq 'Regexp' && $value->{name} ne 'a pattern';
        # 'root' and 'self' are not among the values, nor are good rows
        my $string = ref $value->{copy} eq 'ARRAY' ? undef : $value->{string};
        return $string if ref $string;
        return croak("$rows, not $value->{said}");
    };
    argument "spawn: $map", option($row), '', $read, sub { spawn_with($map, $_[0]) };
    argument "spawn: a row of $map", sub {
        my ($value) = @_;
        return $value->{copy} if ref $value->{copy} eq 'Regexp' && $value->{name} ne 'a pattern';
        return croak("$rows, not a reference to an ARRAY");
    }, '', undef, sub { spawn_with($map, array_of($_[0])) };
    my $no_row = croak("spawn: $map has a row that is empty, or ends above all ids: \\[\\d+, \\d+, \\d+\\]");
    argument "spawn: inside of $map",  $u32, "spawn: $map", $read, sub { spawn_with($map, [ array_of($_[0], 0, 1) ]) };
    argument "spawn: outside of $map", $u32, "spawn: $map", $read, sub { spawn_with($map, [ array_of(0, $_[0], 1) ]) };
    argument "spawn: count of $map",   $u32, "spawn: $map", sub { $_[0] == 0 ? $no_row : $read }, sub { spawn_with($map, [ array_of(0, 0, $_[0]) ]) };
}
argument 'spawn: the program', sub {
    my ($value) = @_;
    return $value->{copy} if ref $value->{copy} eq 'Regexp' && $value->{name} ne 'a pattern';
    return croak('spawn: element 1 of exec is undef') if !defined $value->{copy};
    return a_string('a string')->(@_);
}, 'spawn: exec', $read, sub { spawn_with(exec => array_of('true', $_[0])) };
argument 'spawn: a value of env', sub {
    my ($value, $argument, $accepted) = @_;
    my $string = $value->{string};
    return $string if ref $string;
    return croak('spawn: env has a value that is no string: that of the string "NAME"') if !defined $string;
    return croak('spawn: env has a NUL: in the string "NAME"') if $string =~ /\0/;
    return taken($accepted);
}, '', $read, sub { spawn_with(env => hash_of({}, 'NAME', $_[0])) };
argument 'spawn: a name in env', sub {
    my ($value, $argument, $accepted) = @_;
    my $string = $value->{string};
    return $string if ref $string;
    # as perl makes a key of it
    $string //= !defined $value->{copy} || $value->{name} eq 'one that talks nonsense' ? '' : "$value->{said}" =~ /object of class (?!Regexp)/ ? 'Class=' : 'x';
    return croak('spawn: env has a wrong name: .*') if $string eq '' || $string =~ /=/;
    return croak('spawn: env has a NUL: in .*') if $string =~ /\0/;
    return taken($accepted);
}, '', $read, sub { no warnings 'uninitialized'; spawn_with(env => { "$_[0]" => 'x' }) }, 'stringified';
argument 'spawn: seconds', sub {
    my ($value, $argument, $accepted) = @_;
    my $n = $value->{number};
    return $n if ref $n;
    my $fraction = $n eq 'fraction' && $value->{string} =~ /^-?\d/;
    return taken($accepted) if $fraction || $n !~ /^[a-z]/ && $n >= -(1 << 62) * 2 && $n < 9.2e18;
    return croak("spawn: time_offsets must have seconds for monotonic, not $value->{said}");
}, '', $read, sub { spawn_with(time_offsets => hash_of({}, 'monotonic', $_[0])) };
argument 'spawn: an id of set_tid', \&thread_id, 'spawn: set_tid', $read, sub { spawn_with(set_tid => array_of(1, $_[0])) };

# the methods of a child
my $child = Linux::Clone::spawn(code => $sub);
SKIP: {
    skip "the kernel refuses spawn: $Linux::Clone::error", 1 if !$child;
    $child->wait;
    argument 'kill: $signal', $any_signal, 'Child::kill: \$signal', 0, sub { $child->kill($_[0]) };
    argument 'kill_on_destroy: $signal', option(a_signal(1, 64)), 'Child::kill_on_destroy: \$signal', 'taken', sub { $child->kill_on_destroy($_[0]) == $child ? 'taken' : 'something else' };
    my $seconds = sub {
        my ($method, $value, $accepted) = @_;
        my $n = $value->{number};
        return $n if ref $n;
        return taken($accepted) if $n eq 'undef' ? !$value->{defined} : $n eq 'fraction' ? $value->{string} =~ /^(?:\d|inf)/i : $n ne 'none' && $n >= 0;
        return croak("Child::$method: \\\$seconds must be a number of seconds, 0 or more, not $value->{said}");
    };
    for (
        [ wait            => $child->pid, sub { $child->wait($_[0]) } ],
        [ kill_on_destroy => 'taken',     sub { $child->kill_on_destroy(undef, $_[0]) == $child ? 'taken' : 'something else' } ],
        [ terminate       => 0,           sub { $child->terminate('KILL', $_[0]) } ],
        )
    {
        my ($method, $accepted, $code) = @$_;
        argument "$method: \$seconds", option(sub { $seconds->($method, $_[0], $_[2]) }), '', $accepted, $code;
    }
    argument 'terminate: $signal', option(a_signal(1, 64)), 'Child::terminate: \$signal', 0, sub { $child->terminate($_[0]) };
    pass 'methods are tried';
}

# ---- all values for all of them ----

my $state = sub { return join ', ', map { "$$_[0] $$_[1]" } [ children => children() ], [ descriptors => descriptors() ], [ stacks => stacks() ] };
# others perl and malloc have, too: what is left with each value of an argument is a hundred
my $maps = mappings();

# How many scalars ten calls leave, if the second leaves any: what perl keeps, it has then.
sub leaves {
    my ($call) = @_;
    local $SIG{__WARN__} = sub { };
    my $count = sv_count();
    $call->();
    return 0 if sv_count() == $count;
    $count = sv_count();
    $call->() for 1 .. 10;
    my $left = sv_count() - $count;
    return $left >= 10 ? $left : 0;
}

my $calls = 0;
my ($tied_one, $object) = map { my $name = $_; grep { $_->{name} eq $name } @values } 'a tied scalar that dies', 'an overloaded object that dies';
for (@arguments) {
    my ($what, $kind, $argument, $accepted, $code, $stringified) = @$_;
    # it aborts where it does not know what flags mean
    next if $ENV{UNDER_VALGRIND} && $what eq 'clone: $flags';
    my @wrong;
    my $before = $state->();
    my $is_read = $kind->($tied_one, $argument, $accepted) =~ /tied/ ? 1 : 0;
    for my $value (@values) {
        my ($of, $give) = @$value{qw(name give)};
        my $expected = $kind->($value, $argument, $accepted);
        my @warnings;
        $ended = 0;
        undef $BadInput::reads;
        my $outcome = do { local $SIG{__WARN__} = sub { push @warnings, @_ }; outcome($code, $give) };
        $outcome //= 'undef';
        push @wrong, "$of: $outcome, not $expected" if ref $expected ? $outcome !~ $expected : $outcome ne $expected;
        push @wrong, "$of: an address in $outcome" if $outcome =~ /\(0x/ && !$value->{has_address} && !$stringified;
        push @wrong, "$of: a child has come and gone" if $outcome =~ / line \d+/ && $ended;
        push @wrong, map { "$of: $_" } grep { !$value->{warns} || $_ !~ $value->{warns} } @warnings;
        push @wrong, "$of: read $BadInput::reads times" if defined $BadInput::reads && $BadInput::reads != $is_read;
        my $left = leaves(sub { outcome($code, $give) });
        push @wrong, "$of: ten calls leave $left scalars" if $left;
        $calls++;
    }
    is join("\n", @wrong), '', "$what: " . @values . ' values';
    is $state->(), $before, "$what: no child, no descriptor, no stack more";
}
note "$calls calls";
cmp_ok mappings() - $maps, '<', @values / 2, 'nor a mapping with each';

# ---- methods of what is no child ----

{
    # perl's own words, as for any method; none reads or signals anything
    my @wrong;
    my $before = $state->();
    for my $method (qw(pid pidfd running kill wait kill_on_destroy terminate DESTROY)) {
        my $code = Linux::Clone::Child->can($method) or die "no method $method";
        for my $invocant (undef, '', 'Linux::Clone::Child', 5, -1, $$, [], \1, $sub, \*STDOUT, {}, bless({}, 'Linux::Clone::Child'), bless([], 'BadInput::Plain')) {
            local ($?, $!) = (0, 0);
            my @warnings;
            local $SIG{__WARN__} = sub { push @warnings, @_ };
            my $call = sub { my $value = eval { $code->($invocant, 0) }; return $@ ne '' ? 'a croak' : $value };
            my $said = $call->();
            # an empty hash is a child without a pidfd
            my $is = ref $invocant && Scalar::Util::reftype($invocant) eq 'HASH';
            push @wrong, "$method of " . (defined $invocant ? $invocant : 'undef') . ": $said" if !$is && defined $said && $said ne 'a croak';
            push @wrong, "$method of $invocant: $said" if $is && defined $said && $said =~ /^[1-9]/;
            push @wrong, "$method: a leak" if leaves($call);
        }
    }
    is join("\n", @wrong), '', 'methods of what is no child';
    is $state->(), $before, 'nothing is left';
}

# ---- what runs while an argument is read ----

# What it does; what that comes to, if not to undef.
our @victims;
my $stays = qr/\A(?:Can't "\w+" outside a loop block|Can't find label \w+|Label not found for "\w+ \w+") at /;
sub recurse { no warnings 'recursion'; my ($n) = @_; return $n ? recurse($n - 1) + 1 : 0 }
my %actions = (
    'last'      => [ sub { no warnings; last }, $stays ],
    'next'      => [ sub { no warnings; next }, $stays ],
    'redo'      => [ sub { no warnings; redo }, $stays ],
    'last OUT'  => [ sub { no warnings; last OUT }, $stays ],
    'goto OUT'  => [ sub { no warnings; goto OUT }, $stays ],
    'goto NEXT' => [ sub { no warnings; goto NEXT }, $stays ],
    'die'       => [ sub { die bless [], 'BadInput::Plain' }, qr/\ABadInput::Plain=ARRAY/ ],
    'die in a signal handler' => [ sub { local $SIG{USR1} = sub { die "caught\n" }; kill USR1 => $$; undef }, qr/\Acaught\n\z/ ],
    'die of perl' => [ sub { my $no = 0; 1 / $no }, qr/\AIllegal division by zero at / ],
    'a long list' => [ sub { my @list = map { ($_) x 10 } 1 .. 500; undef } ],
    'recursion' => [ sub { recurse(500); undef } ],
    'eval'      => [ sub { eval { die "inner\n" }; eval 'die'; undef } ],
    'local'     => [ sub { local ($_, $!, $@, @victims) = (1) x 4; local $SIG{CHLD} = 'DEFAULT'; undef } ],
    'errno'     => [ sub { $! = 7; undef } ],
    'a change of @_' => [ sub { @_ = (1) x 100; undef @_; undef } ],
    'clone within' => [ sub { new_child(Linux::Clone::clone($sub, 0, SIGCHLD, my $ptid)) eq 'exit 7' or die "inner clone: $!\n"; undef } ],
    'shared memory within' => [ sub { new_child(Linux::Clone::clone($sub, 0, $vm | SIGCHLD, my $ptid)) eq 'exit 7' or die "inner clone: $!\n"; undef } ],
    'refusals within' => [ sub { for my $bad ([], 'x', 1e30) { eval { Linux::Clone::unshare($bad) }; eval { Linux::Clone::setns($bad) }; eval { Linux::Clone::spawn(code => $bad) } } undef } ],
);
for my $action (sort keys %actions) {
    my ($act, $comes_to) = @{ $actions{$action} };
    my ($undef) = grep { $_->{name} eq 'a tied undef' } @values;
    my (@wrong, $n);
    my $before = $state->();
    for (@arguments) {
        my ($what, $kind, $argument, $accepted, $code) = @$_;
        my @ways;
        push @ways, [ tied => sub { tied_to($act, $_[0]) }, $comes_to // $kind->($undef, $argument, $accepted) ] if $kind->($tied_one, $argument, $accepted) =~ /tied/;
        # what an object that is undef comes to is its own business
        push @ways, [ object => sub { acting($act, $_[0]) }, $comes_to // qr/./ ] if $kind->($object, $argument, $accepted) =~ /overloaded/;
        for (@ways) {
            my ($how, $give, $expected) = @$_;
            my $turns = 0;
          OUT: for my $turn (1 .. 2) {
                $turns++;
                my $outcome = outcome($code, $give) // 'undef';
                push @wrong, "$what, $how: $outcome, not $expected" if ref $expected ? $outcome !~ $expected : $outcome ne $expected;
              NEXT: $n++;
            }
            push @wrong, "$what, $how: $turns turns" if $turns != 2;
            my $left = leaves(sub { outcome($code, $give) });
            push @wrong, "$what, $how: ten calls leave $left scalars" if $left;
        }
    }
    is join("\n", @wrong), '', "$action while an argument is read: $n times";
    is $state->(), $before, 'nothing is left';
}
{
    my @wrong;
    for (@arguments) {
        my ($what, $kind, $argument, $accepted, $code) = @$_;
        my @ways;
        push @ways, \&tied_to if $kind->($tied_one, $argument, $accepted) =~ /tied/;
        push @ways, \&acting if $kind->($object, $argument, $accepted) =~ /overloaded/;
        for my $way (@ways) {
            my $pid = fork // die "fork: $!";
            if (!$pid) {
                eval { outcome($code, sub { $way->(sub { exit 9 }, $_[0]) }) };
                POSIX::_exit(1);
            }
            waitpid $pid, 0;
            push @wrong, "$what: $?" if $? != 9 << 8;
        }
    }
    is join("\n", @wrong), '', 'exit while an argument is read ends the process with that status';
}

{
    # a tied handle is asked for its descriptor
    package Handle { sub TIEHANDLE { my ($class, $act) = @_; return bless { act => $act }, $class } sub FILENO { return $_[0]{act}->() } }
    my @wrong;
    my $before = $state->();
    my ($closed) = grep { $_->{name} eq 'a closed handle' } @values;
    for my $action (sort keys %actions) {
        my ($act, $comes_to) = @{ $actions{$action} };
        tie *TIED, 'Handle', $act;
        for (grep { $_->[1]->($closed, @$_[ 2, 3 ]) eq 'EBADF' } @arguments) {
            my ($what, $kind, $argument, $accepted, $code) = @$_;
            my $turns = 0;
          OUT: for my $turn (1 .. 2) {
                $turns++;
                my $outcome = outcome($code, sub { $_[0]->(\*TIED) });
                # undef is a handle without a descriptor
                push @wrong, "$what, $action: $outcome" if $comes_to ? $outcome !~ $comes_to : $outcome ne 'EBADF';
            }
          NEXT: push @wrong, "$what, $action: $turns turns" if $turns != 2;
            my $left = leaves(sub { outcome($code, sub { $_[0]->(\*TIED) }) });
            push @wrong, "$what, $action: ten calls leave $left scalars" if $left;
        }
        untie *TIED;
    }
    is join("\n", @wrong), '', 'what FILENO of a tied handle does';
    is $state->(), $before, 'nothing is left';
}

{
    # so are a tied array and a tied hash for what they hold
    package Acting {
        our %at;
        sub at { my $act = $at{ $_[0] }; return $act ? $act->() : $_[1] }
        sub TIEARRAY  { return bless [] }
        sub TIEHASH   { return bless [] }
        sub FETCHSIZE { return at(FETCHSIZE => 3) }
        sub FETCH     { return at(FETCH => undef) }
        sub FIRSTKEY  { return at(FIRSTKEY => 'key') }
        sub NEXTKEY   { return at(NEXTKEY => undef) }
    }
    tie my @array, 'Acting';
    tie my %hash,  'Acting';
    # perl's, of a size that is undef
    local $SIG{__WARN__} = sub { warn @_ if $_[0] !~ /^Use of uninitialized value/ };
    my %calls = (
        'the hash of clone3' => [ 'FIRSTKEY', 'NEXTKEY', sub { new_child(Linux::Clone::clone3($sub, \%hash)) } ],
        'set_tid of clone3'  => [ 'FETCHSIZE', 'FETCH', sub { clone3_with(set_tid => \@array) } ],
        env                  => [ 'FIRSTKEY', 'NEXTKEY', 'FETCH', sub { spawn_with(env => \%hash) } ],
        time_offsets         => [ 'FIRSTKEY', 'NEXTKEY', sub { spawn_with(time_offsets => \%hash) } ],
        (map { my $name = $_; $name => [ 'FETCHSIZE', 'FETCH', sub { spawn_with($name => \@array) } ] } qw(exec set_tid uid_map gid_map)),
        'a row of uid_map'   => [ 'FETCHSIZE', 'FETCH', sub { spawn_with(uid_map => [ \@array ]) } ],
    );
    my ($n, @wrong) = (0);
    my $before = $state->();
    for my $what (sort keys %calls) {
        my @methods = @{ $calls{$what} };
        my $code = pop @methods;
        for my $method (@methods) {
            for my $action (sort keys %actions) {
                my ($act, $comes_to) = @{ $actions{$action} };
                local %Acting::at = ($method => $act);
                my $turns = 0;
              OUT: for my $turn (1 .. 2) {
                    $turns++;
                    my $outcome = outcome($code, sub { $_[0]->() }) // 'undef';
                    # else it is empty, which clone3 takes, or has undef in it
                    my $taken = $what =~ /clone3/ && $method =~ /^(?:FIRSTKEY|FETCHSIZE)$/;
                    my $expected = $comes_to // ($taken ? qr/\A(?:$child3|$einval3)\z/ : croak('(?:spawn|clone3): .*'));
                    push @wrong, "$what, $method, $action: $outcome" if $outcome !~ $expected;
                  NEXT: $n++;
                }
                push @wrong, "$what, $method, $action: $turns turns" if $turns != 2;
                my $left = leaves(sub { outcome($code, sub { $_[0]->() }) });
                push @wrong, "$what, $method, $action: ten calls leave $left scalars" if $left;
            }
        }
    }
    is join("\n", @wrong), '', "what a tied array or hash does, $n times";
    is $state->(), $before, 'nothing is left';
}
{
    # and where spawn says what the kernel refused
    my $call = sub { answer(Linux::Clone::spawn(exec => ['/no/such'])) };
    my @wrong;
    my $before = $state->();
    for my $action (sort keys %actions) {
        my ($act, $comes_to) = @{ $actions{$action} };
        package Storing { sub TIESCALAR { my ($class, $act) = @_; return bless [$act] } sub FETCH { return } sub STORE { my ($self) = @_; $self->[0]->(); return } }
        tie $Linux::Clone::error, 'Storing', $act;
        my $turns = 0;
      OUT: for my $turn (1 .. 2) {
            $turns++;
            my $outcome = outcome($call, sub { $_[0]->() }) // 'undef';
            push @wrong, "$action: $outcome" if $outcome !~ ($comes_to // qr/\Aundef\z/);
          NEXT: push @wrong, "$action: $name{ $! + 0 }" if !$comes_to && $name{ $! + 0 } ne 'ENOENT';
        }
        push @wrong, "$action: $turns turns" if $turns != 2;
        untie $Linux::Clone::error;
    }
    {
        local *Linux::Clone::error = \'read-only';
        my $outcome = outcome($call, sub { $_[0]->() });
        push @wrong, "read-only: $outcome" if $outcome !~ /\AModification of a read-only value attempted at \Q$0\E line/;
    }
    is join("\n", @wrong), '', 'what $Linux::Clone::error does when it is stored to';
    is $state->(), $before, 'nothing is left';
}

# ---- a wrong number of arguments ----

my %counts = (
    clone => [ 3, 6 ], clone3 => [ 2, 2 ], unshare => [ 1, 1 ], pidfd_open => [ 1, 2 ], pidfd_send_signal => [ 2, 3 ], waitid => [ 3, 3 ], setns => [ 1, 2 ],
    pivot_root => [ 2, 2 ], kcmp => [ 3, 5 ], siocsifflags => [ 1, 2 ], configure_loopback => [ 0, 0 ], (map { ("ns_get_$_" => [ 1, 1 ]) } qw(userns parent nstype owner_uid)),
);
{
    my @wrong;
    my $before = $state->();
    for my $function (sort keys %counts) {
        my ($least, $most) = @{ $counts{$function} };
        my $code = Linux::Clone->can($function);
        for my $n (grep { $_ < $least || $_ > $most } 0 .. $most + 3, 1000) {
            # good ones among them: it is the number that is wrong
            my $call = sub { eval { $code->(($sub, 0, SIGCHLD, (undef) x 1000)[ 0 .. $n - 1 ]) }; $@ };
            my $said = $call->();
            push @wrong, "$function, $n: $said" if $said !~ /\AUsage: Linux::Clone::$function\(.*\) at \Q$0\E line \d+\.\n\z/;
            push @wrong, "$function, $n: a leak" if leaves($call);
        }
        # a method call, which has one more; that may be the name of an interface
        next if $function eq 'siocsifflags';
        my $said = eval { Linux::Clone->$function(); 1 } ? '' : $@;
        push @wrong, "as a method, $function: $said" if $said !~ /\A(?:Usage: Linux::Clone::$function\(|Linux::Clone::$function: \$\w+ must be .*, not the string "Linux::Clone" at )/;
    }
    for my $n (1, 3, 5, 999) {
        my $said = eval { Linux::Clone::spawn((code => $sub, flags => 0, ('loopback', 0) x 500)[ 0 .. $n - 1 ]); 1 } ? '' : $@;
        push @wrong, "spawn, $n: $said" if $said !~ croak('spawn: an odd number of arguments: options are names and values');
    }
    is join("\n", @wrong), '', 'a wrong number of arguments: Usage, with the function';
    is $state->(), $before, 'nothing is created';
}

# Each function is in that list, and each of its arguments above; each option of spawn, too.
{
    no strict 'refs';
    my @functions = grep { /^[a-z]/ && defined &{"Linux::Clone::$_"} && !/^(?:bootstrap|import|dl_load_flags)$/ } keys %Linux::Clone::;
    is_deeply [ sort @functions ], [ sort 'spawn', keys %counts ], 'each function';
    my %tried;
    for (@arguments) {
        my ($function, $argument) = $_->[0] =~ /^(\w+): (\$?\w+)/;
        $tried{$function}{$argument}++;
    }
    my @wrong;
    for my $function (grep { $counts{$_}[1] && $_ ne 'clone3' } sort keys %counts) {
        my $most = $counts{$function}[1];
        my $usage = eval { Linux::Clone->can($function)->((undef) x ($most + 1)); 1 } ? '' : $@;
        my ($names) = $usage =~ /^Usage: Linux::Clone::$function\((.*)\)/;
        my @names = map { s/ = .*//r } split /, /, $names // '';
        push @wrong, "$function: $usage" if @names != $most;
        push @wrong, map { "$function: $_" } grep { !$tried{$function}{"\$$_"} && !($own == -1 && $function =~ /pidfd/) } @names;
    }
    is "@wrong", '', 'each argument';
}

# ---- arguments that are freed ----

# Calls a function with what is in @victims, which is empty by then: perl's @_ holds no references.
sub call_freed { my $code = shift; @victims = (); return &$code }

my %freed = map { ($_ => [ (undef) x $counts{$_}[0] ]) } grep { $counts{$_}[0] } keys %counts;
$freed{spawn} = [ undef, undef ];
{
    my @wrong;
    my $before = $state->();
    for my $function (sort keys %freed) {
        my $code = Linux::Clone->can($function);
        for my $kind ('text', 5, [1], bless([], 'BadInput::Plain'), sub { 1 }) {
            my $call = sub { @victims = ($kind) x @{ $freed{$function} }; my $value = eval { call_freed($code, @victims) }; $@ };
            my $said = $call->();
            push @wrong, "$function: $said" if $said !~ /\ALinux::Clone::$function: .* must be .*, not undef at \Q$0\E line \d+\.\n\z/;
            push @wrong, "$function: a leak" if leaves($call);
            # the same scalar twice, if one was freed twice
            my @new = map { [$_] } 1 .. 20;
            push @wrong, "$function: memory is corrupt" if "@{[ map { $$_[0] } @new ]}" ne "@{[ 1 .. 20 ]}";
        }
    }
    is join("\n", @wrong), '', 'arguments that are freed before the call are undef';

    # one at a time, among others that are good
    my %good = (
        clone => [ $sub, 0, $refused, (undef) x 3 ], clone3 => [ $sub, \%refused3 ], unshare => [$sighand], pidfd_open => [ -1, 0 ], pidfd_send_signal => [ -1, 0, 0 ],
        waitid => [ Linux::Clone::P_PID, $$, $nobody ], setns => [ -1, 0 ], pivot_root => [ '/no/such', '/no/such' ], kcmp => [ $$, $$, Linux::Clone::KCMP_FILE, 0, 0 ],
        siocsifflags => [ 'nosuch0', 0 ], spawn => [ stack_size => 0, taken => 1 ], map { ("ns_get_$_" => [-1]) } qw(userns parent nstype owner_uid)
    );
    is_deeply [ sort keys %good ], [ sort keys %freed ], 'each function that has arguments';
    # where undef is as not given: the kernel refuses the call
    my %may = map { $_ => 1 } 'clone 1', map { "clone $_" } 3 .. 5;
    @wrong = ();
    for my $function (sort keys %good) {
        my $code = Linux::Clone->can($function);
        my @good = @{ $good{$function} };
        for my $n (0 .. $#good) {
            my $value;
            my $call = sub { my ($kind) = @_; @victims = ($kind); $value = eval { call_freed($code, @good[ 0 .. $n - 1 ], $victims[0], @good[ $n + 1 .. $#good ]) }; $@ };
            for my $kind ('text', 5, [1], bless([], 'BadInput::Plain')) {
                my $said = $call->($kind);
                my $expected
                    = $may{"$function $n"} ? qr/\A\z/
                    : $function eq 'spawn' && $n % 2 ? $read
                    :                                  qr/\ALinux::Clone::$function: .* must be .*, not undef at \Q$0\E line \d+\.\n\z/;
                push @wrong, "$function, argument $n: $said" if $said !~ $expected;
                push @wrong, "$function, argument $n: " . answer($value) if $said eq '' && answer($value) ne 'EINVAL';
                push @wrong, "$function, argument $n: a leak" if leaves(sub { $call->($kind) });
            }
        }
    }
    is join("\n", @wrong), '', 'an argument that is freed among others that are not';

    # while the first is read, the others go
    my $code_with = sub { my ($status) = @_; return sub { $status } };
    my ($exit, $ptid);
    for my $flags (SIGCHLD, $vm | SIGCHLD) {
        @victims = ($code_with->(7), 0, 0, 'a ptid', 'a tls', 'a ctid');
        tie $victims[1], 'BadInput::Tied', sub { @victims = (); 0 };
        $victims[2] = $flags;
        $exit = new_child(&Linux::Clone::clone(@victims));
        is $exit, 'exit 7', 'clone, when reading the stack size frees all arguments';
        my $last = sub { my $code = shift; tie my $tied, 'BadInput::Tied', sub { @victims = (); $flags }; return new_child(Linux::Clone::clone($victims[0], 0, $tied, $victims[1])) };
        @victims = ($code_with->(8), 'a ptid');
        is $last->(), 'exit 8', 'when reading the flags does';
        is @victims, 0, 'they are gone';
    }
    my %args = (stack_size => 0);
    my $hash = \%args;
    tie $args{flags}, 'BadInput::Tied', sub { %args = (); undef $hash; 0 };
    $args{parent_tid} = \my $tid;
    my $outcome = new_child(Linux::Clone::clone3($code_with->(9), $hash));
    is $outcome, $child3 =~ s/7/9/r, 'clone3, when reading a value empties the hash';
    my @ids = (1, 2, 3);
    tie $ids[0], 'BadInput::Tied', sub { @ids = (); 'x' };
    eval { Linux::Clone::clone3($sub, { set_tid => \@ids }) };
    like $@, croak('clone3: set_tid must be a reference to an array of thread ids, not the string "x"'), 'clone3, when reading an id empties the array';
    for my $options ([ code => $code_with->(6) ], [ exec => [ 'sh', '-c', 'exit 6' ] ]) {
        @victims = (stack_size => 0, @$options, exit_signal => undef);
        tie $victims[1], 'BadInput::Tied', sub { @victims = (); undef $options; 0 };
        is spawned(Linux::Clone::spawn(@victims)), 'exit 6', 'spawn, when reading an option frees the others';
    }
    my @words = ('sh', '-c', 'exit 5');
    tie $words[0], 'BadInput::Tied', sub { @words = (); 'sh' };
    is spawned(Linux::Clone::spawn(exec => \@words)), 'exit 5', 'when reading the program empties the array';
    my %env = map { ("NAME$_" => $_) } 1 .. 20;
    tie $env{$_}, 'BadInput::Tied', sub { %env = (); 'x' } for keys %env;
    is spawned(Linux::Clone::spawn(exec => [ '/bin/sh', '-c', 'exit 4' ], env => \%env)), 'exit 4', 'when reading a variable empties env';
    my @rows = ([ 0, 0, 1 ], [ 1, 1, 1 ]);
    tie $rows[0][0], 'BadInput::Tied', sub { @rows = (); 'x' };
    eval { Linux::Clone::spawn(code => $sub, uid_map => \@rows) };
    like $@, croak('spawn: uid_map must be an integer, not the string "x"'), 'when reading a number empties the map';
    is $state->(), $before, 'nothing is left';
}

# ---- one scalar in several places ----

{
    my $before = $state->();
    my $all = $own == -1 ? 'ENOSYS' : 'ESRCH';
    my ($x, @wrong) = (1 << 30);
    my %same = (
        clone => [ 6, qr/\$coderef must be/ ], clone3 => [ 2, qr/\$coderef must be/ ], pidfd_open => [ 2, qr/EINVAL|ESRCH|ENOSYS/ ], pidfd_send_signal => [ 3, qr/EBADF|EINVAL|ENOSYS/ ], waitid => [ 3, qr/EINVAL/ ],
        setns => [ 2, qr/EBADF|EINVAL/ ], pivot_root => [ 2, qr/ENOENT|EPERM/ ], kcmp => [ 5, qr/EINVAL|ESRCH|ENOSYS|EPERM/ ], siocsifflags => [ 2, qr/out of range/ ], spawn => [ 2, qr/no option/ ],
    );
    for my $function (sort keys %same) {
        my ($n, $expected) = @{ $same{$function} };
        my $code = Linux::Clone->can($function);
        my $outcome = outcome(sub { my @found = $code->(($x) x $n); return @found ? answer($found[0]) : $name{ $! + 0 } }, sub { $_[0]->() });
        push @wrong, "$function: $outcome" if $outcome !~ $expected;
    }
    is join("\n", @wrong), '', 'the same variable for all arguments';
    is $x, 1 << 30, 'it is as it was';

    for my $flags (SIGCHLD, $vm | SIGCHLD) {
        my $kind = $flags == SIGCHLD ? 'a copy' : 'in shared memory';
        my ($code, $object) = (undef, bless [], 'BadInput::Plain');
        Scalar::Util::weaken(my $gone = $object);
        {
            my $held = $object;
            $code = sub { $held ? 5 : 6 };
        }
        undef $object;
        my $pid = Linux::Clone::clone($code, 0, $flags, $code);
        is new_child($pid), 'exit 5', "\$coderef is \$ptid, $kind";
        is $code, $pid, 'it is the id';
        is $gone, undef, 'and the code is freed';
        my $number = $flags;
        $pid = Linux::Clone::clone($sub, $number, $number, $number);
        is new_child($pid), 'exit 7', '$stacksize and $flags are $ptid';
        is $number, $pid, 'it is the id';
        my ($id, $seen) = (0);
        $pid = Linux::Clone::clone(sub { $id > 0 ? 7 : 8 }, 0, $flags | Linux::Clone::CHILD_SETTID, $id, undef, $id);
        is new_child($pid), 'exit 7', '$ptid is $ctid';
        is $id, $pid, 'it is the id';
        # the child of shared memory takes away what the parent will store in
        my @places = (1, 2);
        $pid = Linux::Clone::clone(sub { @places = (); undef $code; 3 }, 0, $flags, $places[1]);
        is new_child($pid), 'exit 3', 'the child frees $ptid';
        $code = sub { undef $code; 4 };
        is new_child(Linux::Clone::clone($code, 0, $flags, $code)), 'exit 4', 'the child frees its coderef';
    }
    SKIP: {
        skip "clone3 answers $einval3", 1 if $einval3 ne 'EINVAL';
        my %hash = (flags => 0);
        $hash{parent_tid} = \$hash{flags};
        my $pid = Linux::Clone::clone3($sub, \%hash);
        is new_child($pid), 'exit 7', 'an output is an input of the same hash';
        is $hash{flags}, $pid, 'it is the id';
        my $both;
        %hash = (pidfd => \$both, parent_tid => \$both);
        $pid = Linux::Clone::clone3($sub, \%hash);
        is new_child($pid), 'exit 7', 'two outputs are one variable';
        ok POSIX::close($both), 'it is the descriptor, so that it is not lost';
        for my $key (qw(pidfd parent_tid child_tid)) {
            for ([ sub { \%hash }, 'HASH' ], [ sub { \$hash{$key} }, 'REF' ], [ sub { [ \%hash ] }, 'ARRAY' ]) {
                my ($make, $type) = @$_;
                %hash = ();
                $hash{$key} = $make->();
                $hash{$key} = $make->();
                eval { Linux::Clone::clone3($sub, \%hash) };
                like $@, croak("clone3: $key must be a reference to a scalar(?: or an address)?, not a reference to an? $type"), "$key refers to the hash itself, or to itself: $type";
                %hash = ();
            }
        }
        $hash{hash} = \%hash;
        eval { Linux::Clone::clone3($sub, \%hash) };
        like $@, croak('clone3: there is no "hash" in struct clone_args'), 'the hash contains itself';
        %hash = ();
    }
    is $state->(), $before, 'nothing is left';
}

# ---- magical places ----

{
    my $before = $state->();
    my ($string, $utf8, @array, %hash, $weak);
    $array[3] = 1;
    $hash{restricted} = 1;
    Internals::SvREADONLY(%hash, 1);
    package Witness { our $destroyed = 0; sub new { return bless [] } sub DESTROY { $destroyed++; die "destroyed\n" } }
    local $ENV{BAD_INPUT} = 'x';
    my $quiet = sub { };
    my @places = (
        # what it is; a call with the place; what there is afterwards
        [ 'a substr',            sub { $string = 'pid: ?'; $_[0]->(substr $string, 5) }, sub { $string eq "pid: $_[0]" } ],
        [ 'a substr of characters', sub { $utf8 = "\x{20ac}: ?"; $_[0]->(substr $utf8, 3) }, sub { $utf8 eq "\x{20ac}: $_[0]" } ],
        [ 'a reference to a substr', sub { $string = 'pid: ?'; $_[0]->(${ \substr $string, 5 }) }, sub { $string eq "pid: $_[0]" } ],
        [ 'the bits of a vec',   sub { $string = ''; $_[0]->(vec $string, 1, 32) }, sub { vec($string, 1, 32) == $_[0] } ],
        [ 'a pos',               sub { $string = 'x' x 10; $_[0]->(pos $string) }, sub { pos($string) == ($_[0] < 10 ? $_[0] : 10) } ],
        [ 'a last index',        sub { $_[0]->($#array) },                    sub { $#array == $_[0] and @array = (1) } ],
        [ 'an element from the end', sub { @array = (1 .. 3); $_[0]->($array[-2]) }, sub { "@array" eq "1 $_[0] 3" } ],
        [ 'an element that is not there', sub { @array = (); $_[0]->($array[2]) }, sub { $array[2] == $_[0] && @array == 3 } ],
        [ 'an element of a slice', sub { $_[0]->(@array[ 1, 0 ]) },           sub { $array[1] == $_[0] } ],
        [ 'a localized element', sub { my ($call) = @_; our @global = (1); local $global[0]; $call->($global[0]) }, sub { 1 } ],
        [ 'a localized variable', sub { my ($call) = @_; our $global = 1; local $global = 2; $call->($global) }, sub { our $global == 1 } ],
        [ '$_',                  sub { my ($call) = @_; local $_ = 1; $call->($_) }, sub { 1 } ],
        [ 'an alias of a loop',  sub { for my $element (@array[ 0, 1 ]) { $_[0]->($element) } }, sub { $array[1] == $_[0] } ],
        [ 'keys',                sub { my ($call) = @_; my %keys = (a => 1); $call->($_) for keys %keys }, sub { 1 } ],
        [ 'a value of a restricted hash', sub { $_[0]->($hash{restricted}) }, sub { $hash{restricted} == $_[0] } ],
        [ 'an environment variable', sub { $_[0]->($ENV{BAD_INPUT}) },        sub { $ENV{BAD_INPUT} eq $_[0] && `echo \$BAD_INPUT` eq "$_[0]\n" } ],
        [ '$!',                  sub { $_[0]->($!) },                         sub { 1 } ],
        [ 'a weak reference',    sub { my $held = []; Scalar::Util::weaken($weak = $held); $_[0]->($weak) }, sub { $weak == $_[0] } ],
        [ 'a reference whose object dies as it goes', sub { my ($call) = @_; local $SIG{__WARN__} = $quiet; my $place = Witness->new; $call->($place) }, sub { 1 } ],
        [ 'a number that is text', sub { $string = Scalar::Util::dualvar(5, 'text'); $_[0]->($string) }, sub { "$string" eq $_[0] && $string == $_[0] } ],
        [ 'a v-string',          sub { $string = v1.2.3; $_[0]->($string) },  sub { $string eq $_[0] } ],
        [ 'a constant string that is shared', sub { $string = 'literal'; my $copy = $string; $_[0]->($string); $copy eq 'literal' or die }, sub { $string eq $_[0] } ],
        [ 'what a pattern refers to', sub { my $pattern = qr/x/; $_[0]->($$pattern) }, sub { 1 } ],
        [ 'an element of a tied array', sub { my ($call) = @_; require Tie::Array; tie my @tied, 'Tie::StdArray'; $call->($tied[2]); $string = $tied[2] }, sub { $string == $_[0] } ],
        [ 'an element of a tied hash', sub { my ($call) = @_; require Tie::Hash; tie my %tied, 'Tie::StdHash'; $call->($tied{key}); $string = $tied{key} }, sub { $string == $_[0] } ],
        [ 'a freed element',     sub { my ($call) = @_; @victims = (1); call_freed($call, $victims[0]) }, sub { 1 } ],
        [ 'a temporary',         sub { $_[0]->("id $$") },                    sub { 1 } ],
        [ 'the result of a sub', sub { my $value = 5; $_[0]->(sub { $value }->()) }, sub { 1 } ],
    );
    for my $flags (SIGCHLD, $vm | SIGCHLD, Linux::Clone::CHILD_SETTID | SIGCHLD, $vm | Linux::Clone::CHILD_SETTID | Linux::Clone::CHILD_CLEARTID | SIGCHLD) {
        my @wrong;
        my $is_ctid = $flags & Linux::Clone::CHILD_SETTID;
        my $cleared = $flags & Linux::Clone::CHILD_CLEARTID;
        for (@places) {
            my ($what, $with, $holds) = @$_;
            my ($pid, $said);
            my $call = sub { $pid = $is_ctid ? Linux::Clone::clone($sub, 0, $flags, undef, undef, $_[0]) : Linux::Clone::clone($sub, 0, $flags, $_[0]); $said = new_child($pid); return };
            my @warnings;
            {
                local $SIG{__WARN__} = sub { push @warnings, @_ };
                eval { $with->($call); 1 } or $said = "$@";
            }
            push @wrong, "$what: $said" if $said ne 'exit 7';
            push @wrong, map { "$what: $_" } @warnings;
            # a copy's variable is the copy's own
            push @wrong, "$what: not $pid" if $said eq 'exit 7' && (!$is_ctid && !$holds->($pid));
            my $left = leaves(sub { eval { $with->($call) } });
            push @wrong, "$what: ten calls leave $left scalars" if $left;
        }
        is join("\n", @wrong), '', sprintf '%d places to store in, flags %#x', scalar @places, $flags;
    }
    is $state->(), $before, 'nothing is left';
    cmp_ok $Witness::destroyed, '>', 0, '(the object was destroyed)';
}

# ---- constants, import ----

{
    my $value = Linux::Clone::NEWNS;
    my @wrong;
    for my $name (qw(NEWNS CLONE_NEWNS P_ALL KCMP_FILE NS_GET_USERNS IFF_UP)) {
        my $code = Linux::Clone->can($name);
        my $is = $code->();
        # as any constant of perl's
        push @wrong, "$name: with arguments" if $code->(undef, [], 5) != $is || Linux::Clone->$name != $is;
        push @wrong, "$name: compiled with an argument: $@" if defined eval "Linux::Clone::$name(1)" || $@ !~ /^Too many arguments for Linux::Clone::$name at /;
        push @wrong, "$name: changed" if eval { ${ \$code->() } = 5; 1 } || $@ !~ /^Modification of a read-only value attempted at / || $code->() != $is;
        push @wrong, "$name: leaks" if leaves(sub { $code->(undef, []) });
    }
    push @wrong, 'an unknown one' if eval { Linux::Clone::NOSUCH(); 1 } || $@ !~ /^Undefined subroutine &Linux::Clone::NOSUCH called at \Q$0\E line/;
    is join("\n", @wrong), '', 'constants with arguments';

    my (@said, @warnings);
    for my $nonsense (undef, '', 'nosuch', 'NEWNS', ':nosuch', '!nosuch', '/^nosuch(/', 5, -1, [], {}, \*STDOUT, "\x{20ac}", "a\0b", 'x' x 10_000, '$error', '&_signal', 'import') {
        package Importer;
        local $SIG{__WARN__} = sub { push @warnings, @_ };
        my $what = defined $nonsense ? substr $nonsense, 0, 20 : 'undef';
        # (Exporter's own words)
        push @said, $what if eval { Linux::Clone->import($nonsense); 1 } && $what ne '!nosuch' && $what !~ /^-?[0-9]/;
    }
    is_deeply \@said, [], 'nonsense is not imported';
    is_deeply [ grep { !/^(?:BEGIN|__ANON__)$/ } keys %Importer:: ], [], 'and nothing of it' or diag explain [ keys %Importer:: ];
}

# ---- shared variables ----

SKIP: {
    skip 'this perl has no threads', 2 if !$Config{useithreads};
    my ($output, $status) = perl_output(<<'PERL');
use strict; use warnings; use threads; use threads::shared; use Linux::Clone; use POSIX qw(SIGCHLD);
my $pid :shared; my $bad :shared = 'text'; my %hash :shared = (flags => 0); my @words :shared = ('sh', '-c', 'exit 5'); my $code = sub { 7 };
for my $flags (SIGCHLD, Linux::Clone::VM | Linux::Clone::VFORK | SIGCHLD) {
    my $child = Linux::Clone::clone($code, 0, $flags, $pid); waitpid $child, 0; print $? >> 8, $pid == $child ? ' same ' : " $pid ";
}
for my $call (sub { Linux::Clone::clone($code, $bad, SIGCHLD) }, sub { Linux::Clone::setns($bad) }, sub { Linux::Clone::spawn(exec => $bad) }, sub { Linux::Clone::spawn($bad => 1) }) { print eval { $call->(); 1 } ? "no\n" : $@ }
my $child = Linux::Clone::spawn(exec => \@words) or die $Linux::Clone::error; $child->wait; print $? >> 8, "\n";
$child = Linux::Clone::clone3($code, \%hash); if ($child == -1) { print "7\n" } else { waitpid $child, 0; print $? >> 8, "\n" }
PERL
    is $status, 0, 'variables that threads share';
    is $output =~ s/ at -e line \d+\.$//mgr, <<'SAID', 'are as others';
7 same 7 same Linux::Clone::clone: $stacksize must be an integer, not the string "text"
Linux::Clone::setns: $fh_or_fd must be a handle or the number of a descriptor, not the string "text"
Linux::Clone::spawn: exec must be a reference to an array of a program and its arguments, not the string "text"
Linux::Clone::spawn: there is no option "text"
5
7
SAID
}

done_testing;

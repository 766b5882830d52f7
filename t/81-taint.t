# Taint mode: what is refused, and what is not. This file runs itself again with -T.
use strict;
use warnings;

my $lib;
BEGIN {
    ($lib) = __FILE__ =~ m{^(.*)/}s;
    $lib = ($lib // '.') . '/lib';
    if (!${^TAINT}) {
        # a perl without taint support refuses to run, or does without
        if (`$^X -T -e 'print \${^TAINT}' 2>&1` ne '1') {
            print "1..0 # SKIP this perl has no taint support\n";
            exit;
        }
        exec $^X, '-T', (map { "-I$_" } @INC), __FILE__ or die "exec: $!";
    }
}
use lib $lib;
use CloneTest qw(status children descriptors growth);
use Linux::Clone qw(:flags :wait clone clone3 unshare pidfd_open pidfd_send_signal waitid setns pivot_root kcmp siocsifflags);
use POSIX qw(SIGCHLD SIGTERM);
use Scalar::Util qw(tainted);
use SpawnTest;
use Test::More;

my ($perl) = $^X =~ /(.*)/s;
my @perl = ($perl, map { /(.*)/s; "-I$1" } @INC);
my $nothing = substr $^X, 0, 0;
ok tainted($nothing), 'this is taint mode';

sub tainted_copy { return $_[0] . $nothing }
sub zero { return 0 }

# What it returns, or dies of.
sub said {
    my ($code) = @_;
    local $! = 0;
    my @got = eval { $code->() };
    return $@ eq '' ? join ' ', map { $_ // 'undef' } @got : $@ =~ s/ at .+ line \d+\.\n\z//r;
}
sub insecure { return "Insecure dependency in Linux::Clone::$_[0] while running with -T switch" }

my $me = children() . ' ' . descriptors();

# ---- functions ----

# Arguments that do no harm where they are not tainted: the function refuses, or the kernel does.
my %arguments = (
    clone => [ \&zero, 0, SIGCHLD ],
    unshare => [0],
    setns => [ -1, 0 ],
    pidfd_send_signal => [ -1, 'TERM', 0 ],
    pivot_root => [ '/no/such', '/no/such' ],
    siocsifflags => [ 'nosuch0', 0 ],
);
for my $function (sort keys %arguments) {
    my @arguments = @{ $arguments{$function} };
    my $call = Linux::Clone->can($function);
    for my $n (grep { !ref $arguments[$_] } 0 .. $#arguments) {
        my @tainted = @arguments;
        $tainted[$n] = tainted_copy($tainted[$n]);
        is said(sub { $call->(@tainted) }), insecure($function), "$function: argument $n";
    }
    my $got = said(sub { $call->(@arguments) });
    like $got, qr/^-?\d+\z/, 'but not without one that is tainted';
    waitpid $got, 0 if $function eq 'clone';
    my $beside = said(sub { ($nothing ? 5 : 0) + $call->(@arguments) });
    like $beside, qr/^-?\d+\z/, 'whatever else the statement has read';
    waitpid $beside, 0 if $function eq 'clone';
}
is said(sub { clone(tainted_copy('zero'), 0, SIGCHLD) }), insecure('clone'), 'clone: the name of a sub';
for my $key (qw(flags exit_signal stack_size cgroup)) {
    is said(sub { clone3(\&zero, { $key => tainted_copy(0) }) }), insecure('clone3'), "clone3: $key";
}
is said(sub { clone3(\&zero, { set_tid => [ tainted_copy(1) ] }) }), insecure('clone3'), 'clone3: an element of set_tid';

# what only tells something
{
    my $fh;
    open $fh, '<', '/proc/self/ns/user' or die "/proc/self/ns/user: $!";
    my $fd = pidfd_open(tainted_copy($$));
    cmp_ok $fd, '>', 2, 'pidfd_open takes a tainted id';
    POSIX::close($fd);
    is said(sub { kcmp(tainted_copy($$), $$, tainted_copy(Linux::Clone::KCMP_VM)) }) =~ s/-1/0/r, 0, 'kcmp, too';
    is said(sub { Linux::Clone::ns_get_nstype(tainted_copy(fileno $fh)) }), CLONE_NEWUSER, 'and a namespace';
    my $pid = clone(\&zero, 0, SIGCHLD);
    is said(sub { (waitid(P_PID, tainted_copy($pid), WEXITED))[0] }), $pid, 'waitid, as waitpid';
}

# ---- spawn ----

my @program = (exec => [ $perl, '-e', '0' ], env => { PATH => '/bin' });
my @options = (
    [ 'a name of an option' => tainted_copy('stack_size'), 0 ],
    [ flags => tainted_copy(0) ],
    [ stack_size => tainted_copy(0) ],
    [ set_tid => [ tainted_copy(4) ] ],
    [ cgroup => tainted_copy(0) ],
    [ parent_death => tainted_copy('KILL') ],
    [ uid_map => tainted_copy('root') ],
    [ gid_map => [ [ tainted_copy(0), 0, 1 ] ] ],
    [ time_offsets => { boottime => tainted_copy(1) } ],
    [ hostname => tainted_copy('x') ],
    [ loopback => tainted_copy(1) ],
    [ root => tainted_copy('/tmp') ],
    [ mount_proc => tainted_copy(1) ],
    [ vfork => tainted_copy(0) ],
    [ cwd => tainted_copy('/') ],
    [ env => { A => tainted_copy(1) } ],
    [ env => { PATH => tainted_copy('/bin') } ],
    [ stdin => tainted_copy(0) ],
    [ stdout => tainted_copy(1) ],
    [ stderr => tainted_copy('STDERR') ],
    [ exec => [ tainted_copy($perl), '-e', '0' ] ],
    [ exec => [ $perl, '-e', tainted_copy('0') ] ],
);
for (@options) {
    my ($name, @option) = @$_;
    unshift @option, $name if $name !~ / /;
    is said(sub { end(@program, @option) }), insecure('spawn'), "spawn: $name";
}
is said(sub { end(code => \&zero, exit_signal => tainted_copy('CHLD')) }), insecure('spawn'), 'spawn: exit_signal';
is said(sub { end(code => tainted_copy('main::zero')) }), insecure('spawn'), 'spawn: the name of a sub';
is said(sub { end(@program, env => { tainted_copy('PATH') => '/bin' }) }), 'exit 0', 'a key is never tainted';
is said(sub { end(@program, $nothing eq '' ? (cwd => '/') : ()) }), 'exit 0', 'nor what a condition has chosen';

# the environment
{
    my @command = (exec => [ $perl, '-e', 'exit 3' ]);
    is said(sub { end(@command) }), 'Insecure $ENV{PATH} while running with -T switch', 'a program with the caller\'s environment';
    is said(sub { end(code => sub { 4 }) }), 'exit 4', 'a coderef with it';
    is said(sub { end(@command, env => {}) }), 'exit 3', 'a program with its own';
    local $ENV{PATH} = '/usr/bin:/bin';
    delete local @ENV{qw(IFS CDPATH ENV BASH_ENV)};
    is said(sub { end(@command) }), 'exit 3', 'with an environment of this program\'s';
    is said(sub { end(exec => ['true']) }), 'exit 0', 'in whose PATH a program is found';
    for my $name (qw(IFS CDPATH ENV BASH_ENV)) {
        local $ENV{$name} = tainted_copy('x');
        is said(sub { end(@command) }), "Insecure \$ENV{$name} while running with -T switch", "$name from outside";
        is said(sub { end(@command, env => { PATH => '/bin' }) }), 'exit 3', 'does not matter where it is not passed on';
    }
    local $ENV{PATH} = '/usr/bin:.';
    is said(sub { end(@command) }), 'Insecure directory in $ENV{PATH} while running with -T switch', 'PATH with a directory that is not absolute';
}
is children() . ' ' . descriptors(), $me, 'where something was refused there is no child, and no descriptor';

# ---- what they return ----

{
    my $child = spawn(code => sub { select undef, undef, undef, 60; 0 }) or die $Linux::Clone::error;
    ok !tainted($child->pid), 'the process id is not tainted';
    is said(sub { $child->kill(tainted_copy('TERM')) }), insecure('Child::kill'), 'the object\'s kill refuses';
    is said(sub { $child->kill_on_destroy(tainted_copy('TERM')) }), insecure('Child::kill_on_destroy'), 'kill_on_destroy refuses';
    is said(sub { $child->kill_on_destroy('TERM', tainted_copy(5)) }), insecure('Child::kill_on_destroy'), 'its time too';
    is said(sub { $child->terminate(tainted_copy('TERM')) }), insecure('Child::terminate'), 'terminate refuses';
    is said(sub { $child->terminate('TERM', tainted_copy(5)) }), insecure('Child::terminate'), 'its time too';
    is said(sub { $child->wait(tainted_copy(0)) // 'undef' }), 'undef', 'wait only tells something';
    ok kill(0, $child->pid), 'perl\'s kill takes that process id';
    ok $child->kill('TERM'), 'and kill works';
    my $pid = $child->wait;
    ok !tainted($pid), 'what wait returns is not tainted';
    is $? & 127, SIGTERM, 'nor wrong';
    $child = spawn(code => sub { 0 })->kill_on_destroy('KILL');
    undef $child;
    is children() . ' ' . descriptors(), $me, 'kill_on_destroy works';

    is spawn(exec => ['/no/such'], env => {}), undef, 'a program that there is not';
    ok !tainted($Linux::Clone::error), 'why is not tainted';
    my $old = tainted_copy(7);
    my $new = clone(\&zero, 0, SIGCHLD, $old);
    is $old, $new, 'a variable that held something tainted receives the id';
    ok !tainted($old) && !tainted($new), 'and is not tainted then, nor is the result';
    waitpid $new, 0;
    my $ptid = tainted_copy(7);
    my $got = said(sub { clone3(\&zero, { parent_tid => \$ptid }) });
    is $ptid, $got, 'likewise clone3\'s';
    waitpid $got, 0;
}
is growth(200, sub { eval { spawn(@program, hostname => tainted_copy('x')) }; eval { end(exec => [$perl]) } }), '0 0 0 0', 'a refusal leaves nothing behind';

# ---- in the child ----

{
    no warnings 'exec';
    local $ENV{PATH} = '/usr/bin:/bin';
    delete local @ENV{qw(IFS CDPATH ENV BASH_ENV)};
    my $harmless = sub { exec $perl, '-e', 'exit 3'; return 4 };
    my $exec = sub { return eval { exec $perl, '-e', tainted_copy('exit 3'); 1 } ? 5 : $@ =~ /^Insecure dependency in exec/ ? 6 : 7 };
    my $chdir = sub { return eval { chdir tainted_copy('/'); 1 } ? 5 : $@ =~ /^Insecure dependency in chdir/ ? 6 : 7 };
    for ([ 'a copy' => 0 ], [ 'in shared memory' => CLONE_VM | CLONE_VFORK ]) {
        my ($name, $flags) = @$_;
        is status($exec, $flags), 'exit 6', "$name: perl's exec refuses";
        is status($harmless, $flags), 'exit 3', 'and takes what is not tainted';
        is status($chdir, $flags), 'exit 6', 'perl\'s other functions refuse, too';
        my $tainted = tainted_copy(7);
        is status(sub { $tainted ? 8 : 9 }, $flags), 'exit 8', 'a child may read what is tainted';
        ok eval { chdir '.'; 1 }, 'the parent\'s next statement starts anew';
        is status(sub { tainted_copy(9) }, $flags), 'exit 9', 'and return it';
    }
    is end(code => $chdir), 'exit 6', 'likewise with spawn';
    my $value = eval { chdir tainted_copy('/'); 1 };
    ok !$value && $@ =~ /^Insecure dependency in chdir/, 'the parent is still in taint mode';
}

# ---- -t ----

{
    my $program = <<'PERL';
        use Linux::Clone;
        my $tainted = '0' . substr $^X, 0, 0;
        local $SIG{__WARN__} = sub { print "warned: @_" };
        print Linux::Clone::unshare($tainted), "\n";
        my $child = Linux::Clone::spawn(stack_size => $tainted, code => sub { 5 }) or die;
        $child->wait;
        print $? >> 8, "\n";
        $child = Linux::Clone::spawn(exec => ['/bin/sh', '-c', 'exit 6']) or die $Linux::Clone::error;
        $child->wait;
        print $? >> 8, "\n";
        $SIG{__WARN__} = sub { die "died: @_" };
        eval { Linux::Clone::spawn(stack_size => $tainted, code => sub { 5 }) } or print $@;
        print wait, "\n";
PERL
    my @command = ($perl[0], '-t', @perl[ 1 .. $#perl ], '-e', $program);
    is output(exec => \@command, env => { PATH => '/bin' }), join("\n",
        map({ s/TAINTED/while running with -t switch at -e line/r }
            'warned: Insecure dependency in Linux::Clone::unshare TAINTED 4.', 0,
            'warned: Insecure dependency in Linux::Clone::spawn TAINTED 5.', 5,
            'warned: Insecure $ENV{PATH} TAINTED 8.', 6,
            'died: Insecure dependency in Linux::Clone::spawn TAINTED 12.', -1), ''), '-t warns, once each, and goes on';
}

done_testing;

# spawn: namespaces and what is set up in them, by root and by an unprivileged user.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest qw(slurp stacks descriptors children namespace_flags needs perl_output);
use Fcntl qw(F_SETFD);
use File::Copy ();
use File::Path ();
use File::Temp ();
use IO::Socket::INET ();
use POSIX qw(:errno_h SIGKILL WNOHANG);
use ProcessTest qw(ids map_of);
use SpawnTest;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my $dir = File::Temp->newdir;
chmod 0755, $dir or die $!;
my $perl = $^X;
my $state = sub { return join ' ', stacks(), descriptors(), children() };
my ($uid, $gid) = ($>, $) + 0);
# what lets anybody have other namespaces
my @user = $uid == 0 ? () : (uid_map => 'root', gid_map => 'root');

{
    my $end = end(code => sub { 0 }, uid_map => 'root', gid_map => 'root');
    plan skip_all => "the kernel refuses a user namespace: $end" if $end ne 'exit 0';
}
my $at_start = $state->();

sub lines { return map { s/^\s+//r } split /\n/, $_[0] }

# ---- uid_map, gid_map ----

{
    my $shown = sub { return join '|', ids(), map_of('uid_map'), map_of('gid_map'), slurp('/proc/self/setgroups') =~ s/\n//r };
    # who may map others' ids need not give up setgroups(2)
    my $groups = $uid == 0 ? 'allow' : 'deny';
    is told($shown, uid_map => 'root', gid_map => 'root'), "0 0 0 0|0 $uid 1|0 $gid 1|$groups", 'root';
    is told($shown, uid_map => 'self', gid_map => 'self'), "$uid $uid $gid $gid|$uid $uid 1|$gid $gid 1|$groups", 'self';
    is told($shown, uid_map => [ [ 7, $uid, 1 ] ], gid_map => [ [ 8, $gid, 1 ] ]), "7 7 8 8|7 $uid 1|8 $gid 1|$groups", 'a row: the own id as another one';
    my ($no_user, $no_group) = map { slurp("/proc/sys/kernel/overflow$_") + 0 } qw(uid gid);
    is told($shown, uid_map => 'root'), "0 0 $no_group $no_group|0 $uid 1||allow", 'a user map alone';
    is told($shown, gid_map => 'root'), "$no_user $no_user 0 0||0 $gid 1|$groups", 'a group map alone';
    is told($shown, flags => Linux::Clone::NEWUSER), "$no_user $no_user $no_group $no_group|||allow", 'NEWUSER without a map';
    my $id = output(exec => [ 'sh', '-c', 'id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups' ], uid_map => 'root', gid_map => 'root');
    is_deeply [ map { join ' ', split } lines($id) ], [ 0, 0, "0 $uid 1", "0 $gid 1", $groups ], 'a program finds its maps written';
    is told(sub {
        my $own = ids();
        "$own inside " . told(sub { ids() . ' ' . map_of('uid_map') }, uid_map => [ [ 5, 0, 1 ] ], gid_map => [ [ 6, 0, 1 ] ]);
    }, uid_map => 'root', gid_map => 'root'), '0 0 0 0 inside 5 5 6 6 5 0 1', 'one inside the other';
    is told(sub { 1 }, uid_map => 'root', parent_death => 'KILL'), 1, 'with parent_death';
    # a program still owns its /proc/self
    is output(exec => [ 'sh', '-c', 'stat -c %u /proc/self/environ' ], uid_map => 'root', gid_map => 'root'), "0\n", 'its /proc/self is its own';
    is told(sub { -w '/proc/self/oom_score_adj' ? 'so' : 'not' }, uid_map => 'root', gid_map => 'root'), 'so', 'that of code too';
}
# What a whole system needs, and a container with one user does not have: the manual's cookbook.
{
    my @map = (uid_map => 'root', gid_map => 'root');
    my $made = "$dir/system";
    mkdir $_ or die "$_: $!" for $made, "$made/dev";
    open my $fh, '>', "$made/file" or die "$made/file: $!";
    close $fh;
    is told(sub { chown(1, 1, "$made/file") ? 'done' : $! + 0 }, @map), EINVAL, "'root': chown to a user that there is not";
    is told(sub { local $! = 0; $) = '0 0'; $! + 0 }, @map), $uid == 0 ? 0 : EPERM, 'setgroups(2): ' . ($uid == 0 ? 'for root' : 'denied');
    my ($output) = told(sub { `mknod $made/dev/zero c 1 5 2>&1`; -e "$made/dev/zero" ? 'made' : $? ? 'refused' : 'nothing' }, @map);
    is $output, 'refused', 'nobody makes device files there';
    # so they come from outside, before root is entered: a namespace in the other
    my $told = told(sub {
        open my $file, '>', "$made/dev/null" or return "open: $!";
        my $said = `mount --bind /dev/null $made/dev/null 2>&1`;
        return "mount: $said" if $said ne '';
        return told(sub { open my $null, '>', '/dev/null' or return "open: $!"; print {$null} 'x' x 100_000; close $null or return "close: $!"; -c '/dev/null' && join ' ', glob '/*' }, root => $made);
    }, @map, flags => Linux::Clone::NEWNS);
    SKIP: {
        skip $told, 1 if $told =~ /^mount: /;
        is $told, '/dev /file', 'a device file is mounted, and works below the new root';
    }
}
SKIP: {
    skip 'rows by the parent: for root', 9 if $uid != 0;
    my @rows = (uid_map => [ [ 0, 100_000, 1000 ], [ 2000, 0, 1 ] ], gid_map => [ [ 0, 200_000, 1000 ], [ 2000, 0, 1 ] ]);
    is told(sub { ids() . '|' . map_of('uid_map') . '|' . map_of('gid_map') }, @rows), '2000 2000 2000 2000|0 100000 1000;2000 0 1|0 200000 1000;2000 0 1', 'rows, by root';
    my @others = (uid_map => [ [ 0, 100_000, 65_536 ] ], gid_map => [ [ 0, 200_000, 65_536 ] ]);
    is told(sub { join '|', ids(), $), -w '/proc/self/oom_score_adj' ? 'own' : 'other' }, @others), '0 0 0 0|0|own', 'without its own id the child becomes 0, with no other groups';
    is told(sub { POSIX::setgid(5); $) = '5 6 7'; POSIX::setuid(9); ids() . "|$)" }, @others), '9 9 5 5|5 6 7', 'and may become others';
    is output(exec => [ 'sh', '-c', 'id -u; id -G; stat -c %u /proc/self/environ' ], @others), "0\n0\n0\n", 'a program';
    is told(sub { ids() . '|' . $) }, uid_map => [ [ 0, 100_000, 10 ] ], gid_map => [ [ 0, 0, 1 ] ]) =~ s/(\|0) .*/$1/r, '0 0 0 0|0', 'users alone are others';
    {
        local $) = '0 4 27';
        is told(sub { $) }, @others), 0, 'supplementary groups are left behind';
        is told(sub { $) }, uid_map => 'root', gid_map => 'root') =~ s/ .*//r, '0', 'else they stay';
    }
    my @map = map { [ $_, 1000 + $_, 1 ] } 0 .. 339;
    is told(sub { scalar split /;/, map_of('uid_map') }, uid_map => \@map), 340, 'as many rows as the kernel takes';
    my $message = 'errno ' . EINVAL . ': Linux::Clone::spawn: uid_map: Invalid argument';
    is end(code => sub { 0 }, uid_map => [ @map, [ 400, 400, 1 ] ]), "$message (more rows than the kernel takes)", 'one more';
    is end(exec => ['true'], uid_map => [ [ 0, 1, 5 ], [ 4, 10, 1 ] ]), "$message (the rows [0, 1, 5] and [4, 10, 1] overlap)", 'that overlap';
}

SKIP: {
    skip 'for root, who can become a user that has ranges', 12 if $uid != 0;
    skip 'this system has no newuidmap and newgidmap in /usr/bin (Debian: uidmap)', 12 if grep { !-e "/usr/bin/$_" } qw(newuidmap newgidmap);
    ok -u "/usr/bin/$_", "$_ may map ids" for qw(newuidmap newgidmap);
    my ($users, $groups) = ("nobody:300000:1000\n", "nobody:400000:1000\n");
    my $rows = 'my @rows = (uid_map => [[0, 65534, 1], [1, 300000, 999]], gid_map => [[0, 65534, 1], [1, 400000, 999]]);';
    is as_user($users, $groups, [], $rows . 'print told(sub { join "|", ids(), map_of("uid_map"), map_of("gid_map"), slurp("/proc/self/setgroups") =~ s/\n//r }, @rows)'),
        '0 0 0 0|0 65534 1;1 300000 999|0 65534 1;1 400000 999|allow', 'rows, by newuidmap and newgidmap';
    is as_user($users, $groups, [], $rows . 'print output(exec => ["sh", "-c", "id -u; cat /proc/self/uid_map"], @rows) =~ s/ +/ /gr'), "0\n 0 65534 1\n 1 300000 999\n", 'for a program';
    is as_user($users, $groups, [], 'print told(sub { join "|", ids(), $), map_of("uid_map") }, uid_map => [[0, 300000, 1000]], gid_map => [[0, 400000, 1000]])'),
        '0 0 0 0|0|0 300000 1000', 'without the own id the child becomes 0';
    is as_user($users, $groups, [], 'print told(sub { join "|", ids(), map_of("uid_map"), map_of("gid_map"), slurp("/proc/self/setgroups") =~ s/\n//r }, uid_map => [[0, 65534, 1], [1, 300000, 999]], gid_map => "root")'),
        '0 0 0 0|0 65534 1;1 300000 999|0 65534 1|deny', 'the own group alone: setgroups is denied';
    is as_user($users, $groups, [], '$SIG{CHLD} = "IGNORE"; ' . $rows . 'print told(sub { ids() . map_of("uid_map") }, @rows) =~ s/^status -1: //r'), '0 0 0 00 65534 1;1 300000 999', 'SIGCHLD ignored';
    is as_user($users, $groups, [], '$SIG{CHLD} = sub { 1 while waitpid(-1, 1) > 0 }; ' . $rows . 'print told(sub { ids() . map_of("uid_map") }, @rows) =~ s/^status -?\d+: //r'), '0 0 0 00 65534 1;1 300000 999', 'a handler that reaps all';
    for my $ignore ('', '$SIG{CHLD} = "IGNORE"; ') {
        is as_user('', '', [], $ignore . $rows . 'print end(code => sub { 5 }, @rows), "\n", children(), "\n", end(exec => ["true"], @rows), "\n", children()') =~ s/\(newuidmap: [^;]*;/(SAID;/gr,
            join("\n0\n", ('errno ' . EPERM . ': Linux::Clone::spawn: uid_map newuidmap: Operation not permitted (SAID; does /etc/subuid have a range for you?)') x 2) . "\n0", 'no range: it says which file lacks it';
    }
    like as_user($users, '', [], $rows . 'print end(code => sub { 5 }, @rows), "\n", children()'),
        qr{^errno @{[EPERM]}: Linux::Clone::spawn: gid_map newgidmap: Operation not permitted \(newgidmap: .*; does /etc/subgid have a range for you\?\)\n0\z}, 'none for groups';
    for my $program (qw(newuidmap newgidmap)) {
        my $name = $program eq 'newuidmap' ? 'uid_map' : 'gid_map';
        like as_user($users, $groups, ["/usr/bin/$program"], $rows . 'print end(code => sub { 5 }, @rows), "\n", children()'),
            qr{^errno @{[EACCES]}: Linux::Clone::spawn: $name $program: Permission denied \(without CAP_SET[UG]ID that program maps other ids than your own; is its package uidmap installed\?\)\n0\z}, "$program cannot be run";
    }
    my $told = as_user($users, $groups, ['/usr/bin'], $rows . 'print end(code => sub { 5 }, @rows), "\n", children()');
    is $told, 'errno ' . ENOENT . ": Linux::Clone::spawn: uid_map newuidmap: No such file or directory (without CAP_SETUID that program maps other ids than your own; is its package uidmap installed?)\n0", 'a system without them';
}
SKIP: {
    skip 'for an unprivileged user', 2 if $uid == 0;
    my $before = $state->();
    for my $options ([ uid_map => [ [ 0, $uid, 1 ], [ 1, 100_000, 10 ] ] ], [ gid_map => [ [ 0, $gid, 1 ], [ 1, 100_000, 10 ] ] ]) {
        my ($name, $tool, $file) = $options->[0] eq 'uid_map' ? qw(uid_map newuidmap /etc/subuid) : qw(gid_map newgidmap /etc/subgid);
        for my $what ([ code => sub { 0 } ], [ exec => ['true'] ]) {
            like end(@$what, @$options), qr{^errno (?:@{[EPERM]}: Linux::Clone::spawn: $name $tool: Operation not permitted \(.*\Q$file\E|@{[ENOENT]}: Linux::Clone::spawn: $name $tool: .*uidmap installed)}, "$name, $what->[0]: ids that this user does not have";
        }
    }
    is $state->(), $before, 'nothing is left';
}
SKIP: {
    # a process that has changed its ids does not own its /proc/self
    skip 'for root, who can give that up', 2 if $uid != 0;
    my $setuid = sub {
        my (@options) = @_;
        return told(sub { POSIX::setgid(65534); POSIX::setuid(65534); end(@options, uid_map => 'root', gid_map => 'root') });
    };
    my $message = 'errno ' . EACCES . ': Linux::Clone::spawn: uid_map: Permission denied (a caller that has changed its ids does not own its /proc/self before it calls exec; see PR_SET_DUMPABLE in prctl(2))';
    is $setuid->(code => sub { 0 }), $message, 'a caller that has dropped its privileges';
    is $setuid->(exec => ['true']), $message, 'and a program';
}

# ---- time_offsets ----

SKIP: {
    my $refusal = end(code => sub { 0 }, @user, time_offsets => {});
    skip "the kernel refuses a time namespace: $refusal", 10 if $refusal ne 'exit 0';
    # CLOCK_BOOTTIME
    my %clocks = (monotonic => CLOCK_MONOTONIC, boottime => 7);
    my $uptime = clock_gettime(CLOCK_MONOTONIC);
    my $off_by = sub {
        my ($clock, $offset, $inside) = @_;
        my $before = clock_gettime($clocks{$clock});
        my $there = $inside->(time_offsets => { $clock => $offset });
        my $after = clock_gettime($clocks{$clock});
        # a float has some nanoseconds less
        return $there =~ /^[\d.]+$/ && $there - $offset >= $before - 1e-4 && $there - $offset <= $after + 1e-4 ? 'right' : "$there, not $before to $after and $offset";
    };
    for my $clock (sort keys %clocks) {
        for my $offset (86_400, 0, 3.75, 0.125, -0.5, -3, -$uptime / 2, -1.25, '12.5', 1e9 + 0.25) {
            is $off_by->($clock, $offset, sub { told(sub { sprintf '%.6f', clock_gettime($clocks{$clock}) }, @user, @_) }), 'right', "$clock $offset, code";
            is $off_by->($clock, $offset, sub { output(exec => [ $perl, '-MTime::HiRes', '-e', 'printf "%.6f", Time::HiRes::clock_gettime(shift)', $clocks{$clock} ], @user, @_) }), 'right', 'a program' if $offset == 86_400 || $offset == -0.5;
        }
    }
    my ($days) = output(exec => [ 'cat', '/proc/uptime' ], @user, time_offsets => { boottime => 86_400 }) =~ /^(\S+)/;
    my ($now) = slurp('/proc/uptime') =~ /^(\S+)/;
    cmp_ok abs($days - $now - 86_400), '<', 5, 'uptime';
    my @both = split ' ', told(sub { map { clock_gettime($clocks{$_}) . ' ' } qw(monotonic boottime) }, @user, time_offsets => { monotonic => 1000, boottime => 5000 });
    cmp_ok abs($both[0] - clock_gettime(CLOCK_MONOTONIC) - 1000), '<', 5, 'both: monotonic';
    cmp_ok abs($both[1] - clock_gettime(7) - 5000), '<', 5, 'boottime';
    my $own = readlink '/proc/self/ns/time';
    for my $options ([ time_offsets => {} ], [ time_offsets => { monotonic => 0 } ], [ flags => Linux::Clone::NEWTIME ], [ flags => Linux::Clone::NEWTIME, time_offsets => { boottime => 1 } ]) {
        isnt told(sub { readlink '/proc/self/ns/time' }, @user, @$options), $own, 'a namespace of its own';
        is told(sub { readlink('/proc/self/ns/time') eq readlink('/proc/self/ns/time_for_children') ? 'same' : 'other' }, @user, @$options), 'same', 'its children\'s too';
        isnt output(exec => [ 'readlink', '/proc/self/ns/time' ], @user, @$options), "$own\n", 'of a program';
    }
    is told(sub { sprintf '%.0f', (clock_gettime(CLOCK_MONOTONIC) - $uptime) / 3600 }, uid_map => 'root', gid_map => 'root', mount_proc => 1, time_offsets => { monotonic => 7200 }), 2, 'with other namespaces';
    my $before = $state->();
    for my $what ([ code => sub { 0 } ], [ exec => ['true'] ]) {
        for my $offset (-$uptime - 1e6, 9e18, 1e12) {
            like end(@$what, @user, time_offsets => { monotonic => $offset }), qr/^errno @{[ERANGE]}: Linux::Clone::spawn: time_offsets: .*\(the clock would be below 0, or beyond its end\)$/, "$what->[0]: out of range: $offset";
        }
        next if $uid == 0;
        is end(@$what, time_offsets => { monotonic => 1 }), 'errno ' . EPERM . ': Linux::Clone::spawn: time_offsets: Operation not permitted (it takes CAP_SYS_TIME and CAP_SYS_ADMIN, or NEWUSER)', 'without a right';
    }
    is $state->(), $before, 'nothing is left';
}

# ---- hostname ----

{
    my $host = sub { return (POSIX::uname())[1] };
    my $own = $host->();
    is told($host, @user, hostname => 'elsewhere'), 'elsewhere', 'hostname';
    is output(exec => [ 'uname', '-n' ], @user, hostname => 'elsewhere'), "elsewhere\n", 'of a program';
    is told($host, @user, hostname => 'h' x 64), 'h' x 64, 'the longest';
    is told($host, @user, hostname => ''), '', 'the shortest';
    is told($host, @user, hostname => "caf\xe9"), "caf\xe9", 'bytes';
    is told($host, @user, flags => Linux::Clone::NEWUTS), $own, 'NEWUTS alone';
    is $host->(), $own, 'the caller keeps its own';
}

# ---- loopback ----

SKIP: {
    needs(namespace_flags(Linux::Clone::NEWNET), 6);
    my $talk = sub {
        my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or return "listen: $!";
        my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $server->sockport, Timeout => 5) or return "connect: $!";
        my $end = $server->accept or return "accept: $!";
        print {$end} "over TCP\n";
        close $end;
        return scalar <$client>;
    };
    is told($talk, @user, loopback => 1), "over TCP\n", 'loopback: a connection to 127.0.0.1';
    is told($talk, uid_map => 'self', gid_map => 'self', loopback => 1), "over TCP\n", 'with the own id';
    like told($talk, @user, flags => Linux::Clone::NEWNET), qr/^connect: /, 'without it there is none';
    like output(exec => [ 'cat', '/proc/net/dev' ], @user, loopback => 1), qr/\A(?:.*\|.*\n){2}\s*lo:.*\n(?!.*eth)/, 'no other interface';
    like output(exec => [ $perl, '-e', 'use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1) or die; print IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $s->sockport) ? "up" : "down: $!"' ], @user, loopback => 1), qr/^up$/, 'for a program';
    is told(sub { IO::Socket::INET->new(PeerAddr => '192.0.2.1', PeerPort => 80, Timeout => 1) ? 'connected' : $! + 0 }, @user, loopback => 1), ENETUNREACH, 'nobody else is reached';
}

# ---- mounts ----

my $mounts_refusal = end(code => sub { 0 }, @user, flags => Linux::Clone::NEWNS);
SKIP: {
    skip "the kernel refuses a mount namespace: $mounts_refusal", 5 if $mounts_refusal ne 'exit 0';
    mkdir "$dir/mount" or die $!;
    my $mounts = slurp('/proc/self/mountinfo');
    is told(sub { grep { !/ - / || / (?:shared|master|propagate_from):/ } split /\n/, slurp('/proc/self/mountinfo') }, @user, flags => Linux::Clone::NEWNS), '', 'NEWNS: all mounts are private';
    is told(sub { system('mount', '-t', 'tmpfs', 'none', "$dir/mount") == 0 or return 'mount failed'; open my $fh, '>', "$dir/mount/file" or return $!; -e "$dir/mount/file" ? 'there' : 'not' }, @user, flags => Linux::Clone::NEWNS), 'there', 'what the child mounts';
    is slurp('/proc/self/mountinfo'), $mounts, 'nobody else sees';
    ok !-e "$dir/mount/file", 'really';
    # where all is shared, as systemd has it
    is told(sub {
        system('mount', '--make-rshared', '/') == 0 or return 'make-rshared failed';
        my $before = slurp('/proc/self/mountinfo');
        $before =~ m{ / \S+ shared:} or return "not shared: $before";
        my $inner = told(sub { system('mount', '-t', 'tmpfs', 'none', "$dir/mount") == 0 ? 'mounted' : 'failed' }, flags => Linux::Clone::NEWNS);
        $inner . (slurp('/proc/self/mountinfo') eq $before ? ' unseen' : ' seen');
    }, @user, flags => Linux::Clone::NEWNS), 'mounted unseen', 'though / is shared';
}

# the numbers in the /proc of another PID namespace are other processes
SKIP: {
    my $refusal = end(code => sub { 0 }, @user, flags => Linux::Clone::NEWPID);
    skip "the kernel refuses a PID namespace: $refusal", 1 if $refusal ne 'exit 0';
    like told(sub { end(exec => ['true'], uid_map => [[ 0, 0, 1 ]]) }, @user, flags => Linux::Clone::NEWPID),
        qr{^errno @{[ENOENT]}: Linux::Clone::spawn: uid_map: .* \(/proc is not that of the caller's PID namespace\)$}, 'no map of another process is written';
}

# ---- mount_proc ----

my $proc_refusal = end(code => sub { 0 }, @user, mount_proc => 1);
SKIP: {
    skip "the kernel refuses a new /proc: $proc_refusal", 8 if $proc_refusal ne 'exit 0';
    my $processes = sub { return join ' ', $$, getppid, sort { $a <=> $b } map { m{/(\d+)$} } glob '/proc/[0-9]*' };
    is told($processes, @user, mount_proc => 1), '1 0 1', 'mount_proc: process 1, and nobody else';
    is told($processes, uid_map => 'root', gid_map => 'root', mount_proc => 1), '1 0 1', 'in a user namespace';
    is told(sub { readlink '/proc/self' }, @user, mount_proc => 1), 1, '/proc/self';
    is output(exec => [ 'sh', '-c', 'echo $$ $PPID /proc/[0-9]*' ], @user, mount_proc => 1), "1 0 /proc/1\n", 'a program';
    my ($mount) = grep { m{ /proc /?proc } || m{ / /proc } } reverse split /\n/, told(sub { slurp('/proc/self/mountinfo') }, @user, mount_proc => 1);
    like $mount, qr{ / /proc rw,nosuid,nodev,noexec}, 'with the usual options';
    like slurp('/proc/self/stat'), qr/^$$ /, "the caller's /proc is as it was";
    require Cwd;
    chdir $dir or die $!;
    is told(sub { Cwd::getcwd() }, @user, mount_proc => 1), Cwd::realpath("$dir"), 'the working directory stays';
    chdir '/' or die $!;
    is end(code => sub { my $grandchild = fork // return 1; if (!$grandchild) { sleep 60 } 7 }, @user, mount_proc => 1), 'exit 7', 'its children end with it';
    my $child = spawn(exec => [ 'sleep', 60 ], @user, mount_proc => 1) or die $Linux::Clone::error;
    like slurp('/proc/' . $child->pid . '/status'), qr/^NSpid:\s+@{[ $child->pid ]}\s+1$/m, 'pid is the one outside';
    $child->kill('KILL');
    is $child->wait, $child->pid, 'and can be waited for';
    # a /proc that hides something
    my $told = told(sub {
        system('mount', '-t', 'tmpfs', 'none', '/proc/fs') == 0 or return 'mount failed';
        end(code => sub { 0 }, uid_map => 'root', gid_map => 'root', mount_proc => 1);
    }, uid_map => 'root', gid_map => 'root', mount_proc => 1);
    is $told, 'errno ' . EPERM . ': Linux::Clone::spawn: mount_proc: Operation not permitted (a user namespace gets a new /proc only where one is in sight that hides nothing)', 'a caller whose /proc hides something';
}

# ---- root ----

# A small system: sh, cat and ls, with what they are linked to.
sub system_at {
    my ($root) = @_;
    my %files = map { $_ => 1 } map { my $program = $_; (grep { -x $_ } map { "$_/$program" } '/bin', '/usr/bin')[0] } qw(sh cat ls);
    for my $program (sort keys %files) {
        my $linked = `ldd $program`;
        $files{$_} = 1 for $linked =~ m{(?:=> |^\s+)(/\S+) \(0x}mg;
    }
    for my $file (sort keys %files) {
        my ($path) = $file =~ m{^(.*)/};
        File::Path::mkpath("$root$path");
        File::Copy::copy($file, "$root$file") or die "$file: $!";
        chmod 0755, "$root$file";
    }
    File::Path::mkpath("$root/$_") for qw(proc etc tmp);
    open my $fh, '>', "$root/etc/hostname" or die $!;
    print {$fh} "the new root\n";
    close $fh or die $!;
    return $root;
}
SKIP: {
    skip "the kernel refuses a mount namespace: $mounts_refusal", 20 if $mounts_refusal ne 'exit 0';
    my $root = system_at("$dir/root");
    my $names = sub { opendir my $handle, $_[0] or return "$_[0]: $!"; return join ' ', sort grep { !/^\.\.?$/ && !/^(?:lib.*|usr|bin)$/ } readdir $handle };
    is told(sub { $names->('/') }, @user, root => $root), 'etc proc tmp', 'root: code sees it as /';
    is told(sub { $names->('.') }, @user, root => $root), 'etc proc tmp', 'and as its working directory';
    is told(sub { $names->('/../..') }, @user, root => $root), 'etc proc tmp', 'there is nothing above it';
    is told(sub { slurp('/etc/hostname') }, @user, root => $root), "the new root\n", 'its files';
    is output(exec => [ 'cat', '/etc/hostname' ], @user, root => $root), "the new root\n", 'a program is looked for there';
    is output(exec => [ 'cat', 'hostname' ], @user, root => $root, cwd => '/etc'), "the new root\n", 'so is cwd';
    is output(exec => [ 'cat', 'hostname' ], @user, root => $root, cwd => 'etc'), "the new root\n", 'from there on';
    is output(exec => [ 'ls', '/' ], @user, root => $root) =~ s/^(?:lib.*|usr|bin)\n//mgr, "etc\nproc\ntmp\n", 'it sees it as /';
    chdir $dir or die $!;
    is told(sub { $names->('/') }, @user, root => 'root'), 'etc proc tmp', 'a relative name';
    {
        require Cwd;
        my $before = Cwd::getcwd();
        chdir "$dir/root" or die $!;
        is told(sub { $names->('/') }, @user, root => $_), 'etc proc tmp', "the working directory, as $_" for '.', './', './.';
        chdir $before or die $!;
    }
    is told(sub { slurp("$root/etc/hostname") }, @user, root => '/'), "the new root\n", 'the root itself';
    is told(sub { $names->('/') }, @user, root => './root/../root/'), 'etc proc tmp', 'a longer one';
    symlink 'root', "$dir/link" or die $!;
    is told(sub { $names->('/') }, @user, root => 'link'), 'etc proc tmp', 'a symbolic link to it';
    mkdir "$dir/\xe2\x82\xac" or die $!;
    is told(sub { $names->('/') }, @user, root => "\x{20ac}"), '', 'in characters; an empty one';
    chdir '/' or die $!;
    is end(code => sub { open my $fh, '>', '/tmp/file' or return 1; 0 }, @user, root => $root), 'exit 0', 'it can be written to';
    ok -e "$root/tmp/file", 'since it is the directory';
    is end(exec => [$perl], @user, root => $root), "errno 2: Linux::Clone::spawn: exec $perl: No such file or directory", 'a program that is outside is not found';
    is told(sub { $names->('/') }, uid_map => 'root', gid_map => 'root', root => $root), 'etc proc tmp', 'in a user namespace';
    SKIP: {
        skip "the kernel refuses a new /proc: $proc_refusal", 8 if $proc_refusal ne 'exit 0';
        my @box = (@user, root => $root, mount_proc => 1);
        is told(sub { join ' ', $$, map { m{/(\d+)$} } glob '/proc/[0-9]*' }, @box), '1 1', 'with mount_proc';
        my @points = map { (split)[4] } split /\n/, told(sub { slurp('/proc/self/mountinfo') }, @box);
        is_deeply \@points, [ '/', '/proc' ], 'no old mount is left';
        is_deeply [ map { (split)[4] } split /\n/, output(exec => [ 'cat', '/proc/self/mountinfo' ], @box) ], [ '/', '/proc' ], 'nor for a program';
        is_deeply [ map { (split)[4] } split /\n/, output(exec => [ 'cat', '/proc/self/mountinfo' ], uid_map => 'root', gid_map => 'root', root => $root, mount_proc => 1) ], [ '/', '/proc' ], 'nor in a user namespace';
        is_deeply [ map { (split)[4] } split /\n/, told(sub { system_mount("$root/tmp"); told(sub { slurp('/proc/self/mountinfo') }, @box) }, @user, flags => Linux::Clone::NEWNS) ], [ '/', '/tmp', '/proc' ], 'mounts below the root come along';
        sub system_mount { system('mount', '-t', 'tmpfs', 'none', $_[0]) == 0 or die 'mount' }
        is output(exec => [ 'sh', '-c', 'cd /proc/1/cwd && cat etc/hostname; cd /proc/1/root && cat etc/hostname; echo $$ /proc/[0-9]*' ], @box), "the new root\nthe new root\n1 /proc/1\n", 'links in /proc lead to the new one';
        # roots without a /proc that is a directory
        my $before = $state->();
        my $sees = sub { return join '|', map { end(@$_, @user, root => $_[0], mount_proc => 1) } [ code => sub { -e '/proc/self' ? 5 : 6 } ], [ exec => [ 'cat', '/proc/self/stat' ] ] };
        mkdir "$dir/$_" or die $! for qw(bare linked up file);
        is $sees->("$dir/bare"), join('|', ('errno 2: Linux::Clone::spawn: mount_proc: No such file or directory (the new root has no directory /proc)') x 2), 'a root without /proc';
        mkdir "$dir/linked/other" or die $!;
        symlink '/other', "$dir/linked/proc" or die $!;
        symlink '../../../../../etc', "$dir/up/proc" or die $!;
        open my $file, '>', "$dir/file/proc" or die $!;
        close $file;
        for my $kind (qw(linked up file)) {
            is $sees->("$dir/$kind"), join('|', ('errno ' . ENOTDIR . ': Linux::Clone::spawn: mount_proc: Not a directory (/proc of the new root is a file or a symbolic link)') x 2), "a root whose /proc is something else ($kind)";
        }
        is $state->(), $before, 'nothing is left';
    }
    my $before = $state->();
    for my $what ([ code => sub { 0 } ], [ exec => ['cat'] ]) {
        is end(@$what, @user, root => "$dir/no"), "errno 2: Linux::Clone::spawn: root $dir/no: No such file or directory", "$what->[0]: no such root";
        is end(@$what, @user, root => "$root/etc/hostname"), 'errno ' . ENOTDIR . ": Linux::Clone::spawn: root $root/etc/hostname: Not a directory", 'no directory';
        is end(@$what, @user, root => ''), 'errno 2: Linux::Clone::spawn: root : No such file or directory', 'an empty name';
        # in a chroot
        my $told = told(sub { chroot $root or return "chroot: $!"; chdir '/'; join '|', end(@$what, flags => Linux::Clone::NEWNS), end(@$what, root => '/tmp'), end(@$what, flags => Linux::Clone::NEWUSER) }, @user, flags => Linux::Clone::NEWNS);
        my $refused = 'errno ' . EINVAL . ': Linux::Clone::spawn: private mounts: Invalid argument (is the caller in a chroot?)';
        is $told, join('|', $refused, $refused, 'errno ' . EPERM . ': Linux::Clone::spawn: clone: Operation not permitted (NEWUSER: is the caller in a chroot, without a user or group id in its own user namespace, or under a filter?)'), 'a caller in a chroot';
    }
    is end(exec => ['cat'], @user, root => $root, cwd => '/no'), 'errno 2: Linux::Clone::spawn: cwd /no: No such file or directory', 'cwd is below it';
    is $state->(), $before, 'nothing is left';

    # ---- everything at once ----
    SKIP: {
        skip "the kernel refuses a new /proc: $proc_refusal", 3 if $proc_refusal ne 'exit 0';
        my %all = (
            uid_map => 'root', gid_map => 'root', hostname => 'box', loopback => 1, mount_proc => 1, root => $root, parent_death => 'KILL',
            flags => Linux::Clone::NEWIPC | Linux::Clone::NEWCGROUP, stack_size => 1 << 20,
        );
        $all{time_offsets} = { monotonic => 86_400, boottime => 86_400.5 } if end(code => sub { 0 }, @user, time_offsets => {}) eq 'exit 0';
        my $report = sub {
            join '|', ids(), $$, (POSIX::uname())[1], $names->('/'), (join ',', map { m{/(\d+)$} } glob '/proc/[0-9]*'),
                IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) ? 'listens' : "listen: $!",
                join ',', map { (split)[4] } split /\n/, slurp('/proc/self/mountinfo');
        };
        my $expected = '0 0 0 0|1|box|etc proc tmp|1|listens|/,/proc';
        is told($report, %all), $expected, 'everything at once';
        my $uptime = (split ' ', slurp('/proc/uptime'))[0];
        my $program = output(exec => [ 'sh', '-c', 'echo $$; cat /proc/sys/kernel/hostname; cat hostname; echo $A; cat /proc/uptime; cat' ], %all, cwd => '/etc', env => { A => 'a', PATH => '/bin:/usr/bin' }, stdin => \*DATA, stderr => \*STDOUT);
        like $program, qr/^1\nbox\n.*the new root\na\n[\d.]+ [\d.]+\n/s, 'with a program';
        SKIP: {
            skip 'rows by the parent: for root', 1 if $uid != 0;
            chmod 0711, $dir;
            File::Path::mkpath("$dir/owned/proc");
            chown 100_000, 100_000, "$dir/owned", "$dir/owned/proc";
            is told(sub { join '|', ids(), $$, (POSIX::uname())[1], (-o '/' ? 'owner' : 'other') }, %all, root => "$dir/owned", uid_map => [ [ 0, 100_000, 65_536 ] ], gid_map => [ [ 0, 100_000, 65_536 ] ]), '0 0 0 0|1|box|owner', 'with rows';
        }
    }
}

# ---- root, by a descriptor ----

SKIP: {
    skip "the kernel refuses a mount namespace: $mounts_refusal", 10 if $mounts_refusal ne 'exit 0';
    File::Path::mkpath("$dir/$_") for 'new/there', 'over';
    opendir my $handle, "$dir/new" or die $!;
    my $fd = fileno $handle;
    my $names = sub { opendir my $here, '/' or return "$!"; return join ' ', sort grep { !/^\.\.?$/ } readdir $here };
    opendir my $system, "$dir/root" or die $!;
    for my $name ("/proc/self/fd/$fd", "/dev/fd/$fd", "/proc/thread-self/fd/$fd") {
        is told($names, @user, root => $name), 'there', "root: a descriptor, as $name" =~ s/\d+/N/gr;
        is told($names, uid_map => 'root', gid_map => 'root', root => $name), 'there', 'in a user namespace';
        is output(exec => [ 'ls', '/etc' ], @user, root => $name =~ s/$fd/fileno $system/er), "hostname\n", 'for a program';
    }
    is told(sub { chdir "$dir/new" or die $!; told($names, @user, root => '/proc/self/cwd') }), 'there', 'the working directory';
    is told(sub { slurp("$dir/root/etc/hostname") }, @user, root => '/proc/self/root'), "the new root\n", 'and the root';
    # it holds the directory, whatever has its name
    rename "$dir/new", "$dir/moved" or die $!;
    File::Path::mkpath("$dir/new/other");
    is told($names, @user, root => "/proc/self/fd/$fd"), 'there', 'a directory that was renamed';
    is told($names, @user, root => "$dir/new"), 'other', '(another one has its name)';
    mkdir "$dir/gone" or die $!;
    opendir my $gone, "$dir/gone" or die $!;
    rmdir "$dir/gone" or die $!;
    like told($names, @user, root => '/proc/self/fd/' . fileno $gone), qr/^(?:|errno @{[ENOENT]}: .*)$/, 'one that was removed is empty, or refused';
    # below a mount
    is told(sub {
        opendir my $below, "$dir/moved" or die $!;
        system('mount', '--bind', "$dir/over", "$dir/moved") == 0 or die 'mount';
        join '|', map { told($names, root => $_) } '/proc/self/fd/' . fileno $below, "$dir/moved";
    }, @user, flags => Linux::Clone::NEWNS()), '|', 'what is mounted on it comes along';
    is told(sub {
        system('mount', '-t', 'tmpfs', 'none', "$dir/over") == 0 or die 'mount';
        mkdir "$dir/over/sub" or die $!;
        system('mount', '-t', 'tmpfs', 'none', "$dir/over/sub") == 0 or die 'mount';
        mkdir "$dir/over/sub/deep" or die $!;
        opendir my $top, "$dir/over" or die $!;
        told(sub { join ' ', $names->(), -d '/sub/deep' ? 'deep' : 'not' }, root => '/proc/self/fd/' . fileno $top);
    }, @user, flags => Linux::Clone::NEWNS()), 'sub deep', 'a mount, with what is mounted below it';
}

# ---- parent_death ----

# Forks a process that calls spawn with these options and tells of each child over a pipe, which
# all of them hold open; returns its process id, and the pipe.
sub parent {
    my ($n, @options) = @_;
    pipe my $read, my $write or die "pipe: $!";
    fcntl $write, F_SETFD, 0 or die $!;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        close $read;
        $SIG{ALRM} = 'DEFAULT';
        my @children;
        for (1 .. $n) {
            my $child = spawn(@options);
            syswrite $write, $child ? 'c' : "e$Linux::Clone::error\n";
            push @children, $child;
        }
        sleep 60;
        POSIX::_exit(0);
    }
    close $write;
    return ($pid, $read);
}
# What comes until all who hold the pipe are gone; undef if somebody stays.
sub until_gone {
    my ($read) = @_;
    my $said = '';
    vec(my $set = '', fileno $read, 1) = 1;
    while (1) {
        select(my $ready = $set, undef, undef, 20) == 1 or return;
        sysread $read, $said, 4096, length $said or return $said;
    }
}
{
    my %kinds = (
        'code'                  => [ code => sub { sleep 60 } ],
        'a program'             => [ exec => [ 'sleep', 60 ] ],
        'code with maps'        => [ code => sub { sleep 60 }, uid_map => 'root', gid_map => 'root' ],
        'a program with maps'   => [ exec => [ 'sleep', 60 ], uid_map => 'root', gid_map => 'root' ],
        'code as process 1'     => [ code => sub { sleep 60 }, @user, flags => Linux::Clone::NEWPID ],
        'a program as process 1' => [ exec => [ 'sleep', 60 ], @user, flags => Linux::Clone::NEWPID ],
        'code with a signal of its own'   => [ code => sub { $SIG{USR1} = 'DEFAULT'; sleep 60 }, parent_death => 'USR1' ],
        'a program with a signal of its own' => [ exec => [ 'sleep', 60 ], parent_death => 10 ],
    );
    $kinds{'other users'} = [ exec => [ 'sleep', 60 ], uid_map => [ [ 0, 100_000, 10 ] ], gid_map => [ [ 0, 100_000, 10 ] ] ] if $uid == 0;
    for my $kind (sort keys %kinds) {
        my @options = (parent_death => 'KILL', @{ $kinds{$kind} });
        SKIP: {
            my ($pid, $read) = parent(2, @options);
            sysread $read, my $said, 1;
            sysread $read, $said, 4096, 1;
            if ($said =~ /^e/) { kill KILL => $pid; waitpid $pid, 0; skip "the kernel refuses: $said", 2 }
            is $said, 'cc', "parent_death, $kind: two children";
            kill KILL => $pid;
            waitpid $pid, 0;
            is until_gone($read), '', 'die with their parent';
            # at any moment of it
            my @survived;
            for my $n (1 .. 60) {
                ($pid, $read) = parent(3, @options);
                select undef, undef, undef, rand 0.006;
                kill KILL => $pid;
                waitpid $pid, 0;
                push @survived, $n if !defined until_gone($read);
                last if @survived;
            }
            is "@survived", '', 'whenever that is killed nothing survives';
        }
        # orphans, if this is process 1
        1 while waitpid(-1, WNOHANG) > 0;
    }
    my ($pid, $read) = parent(1, code => sub { select undef, undef, undef, 0.3 });
    sysread $read, my $said, 1;
    kill KILL => $pid;
    waitpid $pid, 0;
    vec(my $set = '', fileno $read, 1) = 1;
    is select($set, undef, undef, 0.1), 0, 'without it the child lives on';
    until_gone($read);
    ($pid, $read) = parent(1, code => sub { $SIG{TERM} = sub { POSIX::write(1, '', 0); exit 0 }; select undef, undef, undef, 20 }, parent_death => 'TERM');
    sysread $read, $said, 1;
    select undef, undef, undef, 0.1;
    kill KILL => $pid;
    waitpid $pid, 0;
    is until_gone($read), '', 'a handler may do it';
    select undef, undef, undef, 0.05;
    1 while waitpid(-1, WNOHANG) > 0;
}

# ---- what is missing ----

{
    my $before = $state->();
    for my $what ([ code => sub { 0 } ], [ exec => ['true'] ]) {
        SKIP: {
            skip 'for an unprivileged user', 6 if $uid == 0;
            my %implied = (hostname => 'x', loopback => 1, mount_proc => 1, root => "$dir", flags => Linux::Clone::NEWIPC);
            for my $option (sort keys %implied) {
                # its child makes the mount namespace itself
                my $step = $option eq 'root' ? "root $dir" : 'clone';
                is end(@$what, $option => $implied{$option}), 'errno ' . EPERM . ": Linux::Clone::spawn: $step: Operation not permitted (the namespaces need CAP_SYS_ADMIN, or NEWUSER with them)", "$what->[0], $option: without a user namespace";
            }
            is end(@$what, hostname => 'x', set_tid => [ 5 ]), 'errno ' . EPERM . ': Linux::Clone::spawn: clone: Operation not permitted (the namespaces need CAP_SYS_ADMIN, or NEWUSER with them)', 'with set_tid';
        }
        # a namespace has limits of its own, which its root may lower
        for my $limit (qw(user uts net mnt pid ipc time)) {
            my $flag = { user => 'NEWUSER', mnt => 'NEWNS' }->{$limit} // 'NEW' . uc $limit;
            next if !-e "/proc/sys/user/max_${limit}_namespaces";
            my $told = told(sub {
                open my $fh, '>', "/proc/sys/user/max_${limit}_namespaces" or return "refused: $!";
                syswrite $fh, 0 or return "refused: $!";
                end(@$what, flags => Linux::Clone->can($flag)->());
            }, uid_map => 'root', gid_map => 'root');
            SKIP: {
                skip "its root may not lower limits here: $told", 1 if $told =~ /^refused/;
                my $hint = $limit eq 'user' ? 'the sysctl user.max_user_namespaces is 0' : 'a limit below /proc/sys/user, or namespaces nested too deeply';
                is $told, 'errno ' . ENOSPC . ": Linux::Clone::spawn: clone: No space left on device ($hint)", "$what->[0]: user.max_${limit}_namespaces is 0";
            }
        }
        # nested too deeply: 32 levels are the most
        my $deep;
        $deep = sub { my ($level) = @_; my $told = told(sub { $level < 40 ? $deep->($level + 1) : 'too deep' }, uid_map => 'root', gid_map => 'root'); return $told };
        like $deep->(1), qr/^errno (?:@{[ENOSPC]}|@{[EUSERS]}): Linux::Clone::spawn: clone: .*nested too deeply/, 'one namespace in the other, too many times' if $what->[0] eq 'code';
        # without ids of its own nobody gets a user namespace
        is told(sub { end(@$what, uid_map => 'root') }, flags => Linux::Clone::NEWUSER),
            'errno ' . EPERM . ': Linux::Clone::spawn: clone: Operation not permitted (NEWUSER: is the caller in a chroot, without a user or group id in its own user namespace, or under a filter?)', "$what->[0]: a caller without ids";
        # no descriptor more
        my $limited = told(sub {
            my @fill;
            while (defined(my $fd = POSIX::dup(0))) { push @fill, $fd; last if @fill > 100_000 }
            my @ends;
            for my $free (0 .. 4) {
                push @ends, end(@$what, uid_map => 'self', gid_map => 'self');
                POSIX::close(pop @fill);
            }
            push @ends, children();
            join "\n", @ends;
        });
        my @ends = split /\n/, $limited;
        is pop @ends, 0, "$what->[0]: no descriptors: no child is left";
        like $ends[0], qr/^errno @{[EMFILE]}: Linux::Clone::spawn: .*Too many open files/, 'with none';
        is $ends[-1], 'exit 0', 'with some it works';
        is_deeply [ grep { !/^exit 0$|^errno @{[EMFILE]}: Linux::Clone::spawn: / } @ends ], [], 'and never anything else';
    }
    # no process more; root has no such limit
    my $program = 'print join "\n", map({ end(@$_) } [code => sub { 0 }], [exec => ["true"]], [code => sub { 0 }, uid_map => "root"], [exec => ["true"], uid_map => "root"]), children()';
    my $limited = 'exec "sh", "-c", q{if (ulimit -p 0) 2>/dev/null; then ulimit -p 0; else ulimit -u 0; fi; exec "$0" -Mstrict -MLinux::Clone -MSpawnTest -MCloneTest=children -e "$1"}, $^X, q{' . $program . '}';
    my $told = $uid == 0 ? as_user('', '', [], $limited) : output(env => { %ENV, PERL5LIB => join ':', @INC }, exec => [ $perl, '-e', $limited ]);
    my $message = 'errno ' . EAGAIN . ': Linux::Clone::spawn: clone: ' . do { local $! = EAGAIN; $! } . ' (too many processes: RLIMIT_NPROC, or a limit of the cgroup)';
    is $told, join("\n", ($message) x 4, 0), 'no processes';
    is $state->(), $before, 'nothing is left';
}

is children(), 0, 'no child is left';
is $state->(), $at_start, 'no stack, descriptor or child more than at the start';

done_testing;

__DATA__
data

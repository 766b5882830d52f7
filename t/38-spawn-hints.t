# spawn: messages that name the cause, where $! alone does not.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest qw(slurp stacks descriptors children nr);
use FaultTest ();
use Fcntl qw(O_WRONLY O_NOFOLLOW);
use File::Path ();
use File::Temp ();
use POSIX qw(:errno_h);
use SpawnTest;

# the name of an interpreter has no spaces
my $dir = File::Temp->newdir(DIR => '/tmp');
chmod 0755, $dir or die $!;
my ($uid, $gid) = ($>, $) + 0);
my @root = (uid_map => 'root', gid_map => 'root');
# what lets anybody have other namespaces
my @user = $uid == 0 ? () : @root;
my $state = sub { return join ' ', stacks(), descriptors(), children() };

{
    my $end = end(code => sub { 0 }, @root);
    plan skip_all => "the kernel refuses a user namespace: $end" if $end ne 'exit 0';
}
my $at_start = $state->();

sub script {
    my ($name, $text, $mode) = @_;
    my ($path) = "$dir/$name" =~ m{^(.*)/};
    File::Path::mkpath($path);
    open my $fh, '>', "$dir/$name" or die "$dir/$name: $!";
    print {$fh} $text;
    close $fh or die $!;
    chmod $mode // 0755, "$dir/$name" or die $!;
    return "$dir/$name";
}

# That spawn, of code and of a program, fails with this errno, about this step, and this hint.
sub fails {
    my ($errno, $step, $hint, $name, @options) = @_;
    local $! = $errno;
    my $message = "errno $errno: Linux::Clone::spawn: $step: $!" . ($hint eq '' ? '' : " ($hint)");
    for my $what ([ code => sub { 0 } ], [ exec => ['true'] ]) {
        is end(@$what, @options), $message, "$name, $what->[0]";
    }
    return;
}
# The same in a child of spawn with these options.
sub fails_in {
    my ($outer, $before, @test) = @_;
    my ($errno, $step, $hint, $name, @options) = @test;
    local $! = $errno;
    my $message = "errno $errno: Linux::Clone::spawn: $step: $!" . ($hint eq '' ? '' : " ($hint)");
    for my $what ([ code => sub { 0 } ], [ exec => ['true'] ]) {
        is told(sub { my $kept = $before->(); end(@$what, @options) }, @$outer), $message, "$name, $what->[0]";
    }
    return;
}

# ---- process ids ----

{
    my $leave = sub { Linux::Clone::unshare(Linux::Clone::NEWPID()) == 0 or die "unshare: $!" };
    fails_in(\@root, $leave, EINVAL, 'clone', q{NEWPID: the caller's children get another PID namespace already, by unshare or setns}, 'NEWPID after unshare', flags => Linux::Clone::NEWPID());
    my $dead = q{the caller's children get another PID namespace, and that takes none once its process 1 has ended};
    my $end_first = sub { $leave->(); my $pid = fork // die; POSIX::_exit(0) if !$pid; waitpid $pid, 0 };
    fails_in(\@root, $end_first, ENOMEM, 'clone', $dead, 'after the end of process 1');
    # by setns, into the namespace of a child
    my $enter = sub {
        my $child = spawn(code => sub { sleep 60 }, flags => Linux::Clone::NEWPID()) or die $Linux::Clone::error;
        open my $namespace, '<', '/proc/' . $child->pid . '/ns/pid' or die $!;
        Linux::Clone::setns($namespace, Linux::Clone::NEWPID()) == 0 or die "setns: $!";
        $child->kill_on_destroy('KILL');
        return $child;
    };
    fails_in(\@root, $enter, EINVAL, 'clone', q{NEWPID: the caller's children get another PID namespace already, by unshare or setns}, 'after setns', flags => Linux::Clone::NEWPID());
    fails_in(\@root, sub { $enter->(); return }, ENOMEM, 'clone', $dead, 'after the end of that');
    is told(sub { my $child = $enter->(); end(code => sub { 5 }) }, @root), 'exit 5', 'else it is one more there';

    SKIP: {
        my $end = end(code => sub { 0 }, @root, flags => Linux::Clone::NEWPID(), set_tid => [1]);
        skip "the kernel refuses set_tid: $end", 5 if $end ne 'exit 0';
        fails(EINVAL, 'clone', 'set_tid: the first process of a new PID namespace is process 1', 'set_tid with NEWPID', @root, flags => Linux::Clone::NEWPID(), set_tid => [42]);
        fails(EINVAL, 'clone', 'set_tid: the first process of a new PID namespace is process 1', 'with mount_proc', @root, mount_proc => 1, set_tid => [42]);
        fails_in(\@root, $leave, EINVAL, 'clone', q{set_tid: no process of the PID namespace that the caller's children get has been process 1 yet}, 'after unshare', set_tid => [42]);
        my $range = 'set_tid has an id that is out of range, or more ids than there are PID namespaces for it';
        fails_in([ @root, flags => Linux::Clone::NEWPID() ], sub { }, EINVAL, 'clone', $range, 'an id out of range', set_tid => [-5]);
        fails_in([ @root, flags => Linux::Clone::NEWPID() ], sub { }, EINVAL, 'clone', $range, 'too many', set_tid => [ (5) x 40 ]);
        fails_in([ @root, flags => Linux::Clone::NEWPID() ], sub { }, EEXIST, 'clone', 'set_tid has the id of a process that there is', 'one that is taken', set_tid => [1]);
    }
    fails(EINVAL, 'clone', 'NEWIPC and SYSVSEM exclude each other', 'two flags', @user, flags => Linux::Clone::NEWIPC() | Linux::Clone::SYSVSEM());
}

# ---- maps ----

SKIP: {
    skip 'rows by the parent: for root', 6 if $uid != 0;
    my @outer = (uid_map => [ [ 0, 100_000, 10 ], [ 10, 300_000, 10 ] ], gid_map => [ [ 0, 200_000, 10 ], [ 10, 400_000, 5 ], [ 15, 500_000, 5 ] ]);
    fails_in(\@outer, sub { }, EPERM, 'uid_map', q{the row [0, 5, 10] crosses rows of the caller's own uid_map: it takes one for each of these}, 'across two rows', uid_map => [ [ 100, 2, 2 ], [ 0, 5, 10 ] ]);
    fails_in(\@outer, sub { }, EPERM, 'gid_map', q{the row [0, 5, 15] crosses rows of the caller's own gid_map: it takes one for each of these}, 'across three', gid_map => [ [ 0, 5, 15 ] ]);
    fails_in(\@outer, sub { }, EPERM, 'uid_map', q{the row [0, 15, 6] has ids that the caller's own user namespace lacks}, 'beyond the last', uid_map => [ [ 0, 15, 6 ] ]);
    fails_in(\@outer, sub { }, EPERM, 'uid_map', q{the row [0, 4000000000, 1] has ids that the caller's own user namespace lacks}, 'elsewhere', uid_map => [ [ 0, 4_000_000_000, 1 ] ]);
    is told(sub { end(code => sub { 5 }, uid_map => [ [ 0, 5, 5 ], [ 5, 10, 5 ] ]) }, @outer), 'exit 5', 'a row for each works';
    fails(EINVAL, 'uid_map', 'the rows [0, 10, 5] and [5, 14, 5] overlap', 'rows that overlap outside', uid_map => [ [ 0, 10, 5 ], [ 20, 30, 5 ], [ 5, 14, 5 ] ]);
    # CAP_SETFCAP is the 32nd
    my $drop = sub {
        my ($header, $sets) = (pack('Ll', 0x20080522, 0), pack 'L6', (0) x 6);
        syscall(nr('capget'), $header, $sets) == 0 or die "capget: $!";
        my @sets = unpack 'L6', $sets;
        $_ &= ~(1 << 31) for @sets[ 0, 1 ];
        syscall(nr('capset'), $header, pack 'L6', @sets) == 0 or die "capset: $!";
    };
    my $end = told(sub { $drop->(); end(code => sub { 0 }, uid_map => 'root') });
    fails_in([], $drop, EPERM, 'uid_map', 'mapping root takes CAP_SETFCAP', 'without CAP_SETFCAP', uid_map => 'root') if $end ne 'exit 0';
    # groups that cannot be left
    is told(sub {
        pipe my $go, my $tell or die $!;
        my $child = Linux::Clone::clone(sub {
            open my $setgroups, '>', '/proc/self/setgroups' or die $!;
            syswrite $setgroups, 'deny' or die $!;
            sysread $go, my $byte, 1;
            POSIX::setgid(0);
            POSIX::setuid(0);
            $Linux::Clone::error = 'none';
            spawn(code => sub { 0 }, gid_map => [ [ 0, 5, 1 ] ]);
            my $errno = $! + 0;
            open my $out, '>', "$dir/denied" or die $!;
            print {$out} "$errno $Linux::Clone::error";
            close $out;
            return 0;
        }, 0, POSIX::SIGCHLD() | Linux::Clone::NEWUSER());
        select undef, undef, undef, 0.02 until slurp("/proc/$child/setgroups") =~ /deny/;
        chmod 0777, $dir;
        for my $map (qw(uid_map gid_map)) { open my $fh, '>', "/proc/$child/$map" or die $!; syswrite $fh, '0 0 1000' or die $! }
        syswrite $tell, 'x';
        waitpid $child, 0;
        slurp("$dir/denied");
    }), EPERM . q{ Linux::Clone::spawn: gid_map: Operation not permitted (setgroups(2) is denied in the caller's user namespace: there is no way to leave the caller's groups)}, 'setgroups is denied';
    chmod 0755, $dir;
}
fails_in([ flags => Linux::Clone::NEWUSER() ], sub { }, EPERM, 'clone', 'NEWUSER: is the caller in a chroot, without a user or group id in its own user namespace, or under a filter?', 'no ids', uid_map => 'root');
SKIP: {
    skip 'for root, who can become a user that has ranges', 1 if $uid != 0;
    skip 'this system has no newuidmap and newgidmap in /usr/bin (Debian: uidmap)', 1 if grep { !-e "/usr/bin/$_" } qw(newuidmap newgidmap);
    my ($users, $groups) = ("nobody:300000:1000\n", "nobody:400000:1000\n");
    my $rows = 'my @rows = (uid_map => [[0, 65534, 1], [1, 300000, 999]], gid_map => [[0, 65534, 1], [1, 400000, 999]]);';
    my $both = $rows . 'print end(code => sub { 5 }, @rows), "\n", end(exec => ["true"], @rows), "\n", children()';
    my $error = 'errno ' . EPERM . ': Linux::Clone::spawn: %s: Operation not permitted';
    my $is = sub {
        my ($map, $hint, $name, $prepare) = @_;
        my $program = "new$map" =~ s/_//r;
        my $told = as_user($users, $groups, [], $both, $prepare);
        # what it says itself
        $told =~ s/\(new[ug]idmap: [^;\n]*; /(SAID; /g;
        my $message = sprintf "$error (SAID; %s)", "$map $program", $hint;
        is $told, "$message\n$message\n0", $name;
    };
    for my $map (qw(uid_map gid_map)) {
        my $program = "new$map" =~ s/_//r;
        # in the place of the system's
        my $other = script($program, slurp("/usr/bin/$program"));
        my $put = "run('mount', '--bind', '$other', '/usr/bin/$program');";
        $is->($map, "/usr/bin/$program is not set-user-ID, and has no capabilities", "$program without its bit", $put);
        $is->($map, "/usr/bin/$program is set-user-ID, but its owner is user 65534", 'of another owner', "$put chown 65534, 0, '$other' or die; chmod 04755, '$other' or die");
    }
    unlink "$dir/newuidmap", "$dir/newgidmap";
    $is->('uid_map', '/usr/bin/newuidmap is on a file system that is mounted nosuid', 'mounted nosuid', q{run('mount', '--bind', '/usr/bin', '/usr/bin'); run('mount', '-o', 'remount,bind,nosuid', '/usr/bin')});
    my $prctl = nr('prctl');
    $is->('uid_map', 'no program gives rights to a caller with no_new_privs (prctl(2))', 'no_new_privs', "syscall($prctl, 38, 1, 0, 0, 0) == 0 or die \$!");
    $is->('uid_map', q{CAP_SETUID is not in the caller's bounding set}, 'a bounding set without CAP_SETUID', "syscall($prctl, 24, 7, 0, 0, 0) == 0 or die \$!");
    $is->('gid_map', q{CAP_SETGID is not in the caller's bounding set}, 'without CAP_SETGID', "syscall($prctl, 24, 6, 0, 0, 0) == 0 or die \$!");
    # rows that overlap
    my $overlap = 'my @rows = (uid_map => [[0, 65534, 1], [1, 300000, 10], [5, 300100, 10]]);';
    my $said = 'errno ' . EINVAL . ': Linux::Clone::spawn: uid_map newuidmap: Invalid argument (the rows [1, 300000, 10] and [5, 300100, 10] overlap)';
    is as_user($users, $groups, [], $both =~ s/^.*?;/$overlap/r), "$said\n$said\n0", 'rows that overlap, by newuidmap';
    # in a namespace of which a part of the system's ids are: a user there without rights
    my $nested = sub {
        my ($inner) = @_;
        return $rows . qq{print output(\@rows, stderr => \\*STDOUT, exec => [\$^X, "-e", 'use POSIX (); \$) = "5 5"; POSIX::setgid(5); POSIX::setuid(5); exec \$^X, "-e", shift', q{use strict; use Linux::Clone; use SpawnTest; print $inner}]) =~ s/\\(newuidmap: [^;]*;/(SAID;/r};
    };
    is as_user($users, $groups, [], $nested->('end(code => sub { 0 }, uid_map => [[0, 5, 1], [1, 6, 1]])')),
        sprintf("$error (SAID; %s)", 'uid_map newuidmap', q{/usr/bin/newuidmap is not of root of the caller's user namespace, so that its set-user-ID bit gives no rights there}), 'in a nested namespace';
    # this one does its work for a caller that does not own its /proc/self, too
    is as_user($users, $groups, [], $rows . "syscall($prctl, 4, 0, 0, 0, 0);" . 'print end(code => sub { 5 }, @rows)'), 'exit 5', 'a caller that is not dumpable';
}

# ---- what a setting of the system takes away ----

# Makes the kernel refuse what a setting of AppArmor's would: the calls fail, and the file says that
# it is set. The child is in a mount namespace of its own.
sub restrict {
    my (%errors) = @_;
    system('mount', '-t', 'tmpfs', 'none', '/proc/sys') == 0 or die 'mount';
    mkdir "/proc/sys/$_" or die "$_: $!" for qw(kernel user);
    for (['kernel/apparmor_restrict_unprivileged_userns', 1], ['user/max_user_namespaces', 1000]) {
        open my $fh, '>', "/proc/sys/$_->[0]" or die $!;
        print {$fh} "$_->[1]\n";
        close $fh;
    }
    FaultTest::seccomp(%errors) or die "seccomp: $!" if %errors;
    return;
}
# An open of a file to write in /proc/self fails with EACCES.
sub refuse_map {
    my $flags = O_WRONLY | O_NOFOLLOW | 02000000;    # O_CLOEXEC
    # load the number; if it is openat, load the flags; if they are these, EACCES
    my @filter = ([ 0x20, 0, 0, 0 ], [ 0x15, 0, 3, nr('openat') ], [ 0x20, 0, 0, 32 ], [ 0x15, 0, 1, $flags ], [ 0x06, 0, 0, 0x50000 | EACCES ], [ 0x06, 0, 0, 0x7fff0000 ]);
    FaultTest::filter(@filter) or die "seccomp: $!";
    return;
}
SKIP: {
    my $end = end(code => sub { 0 }, @root, flags => Linux::Clone::NEWNS());
    skip "the kernel refuses a mount namespace: $end", 10 if $end ne 'exit 0';
    my @outer = (@root, flags => Linux::Clone::NEWNS());
    my $setting = 'the sysctl kernel.apparmor_restrict_unprivileged_userns is 1';
    my $is = sub {
        my ($step, $errno, $call, $option, $value, $takes) = @_;
        fails_in(\@outer, sub { restrict($call => $errno) }, $errno, $step, $setting, "$step, restricted", @root, $option => $value);
        fails_in(\@outer, sub { FaultTest::seccomp($call => $errno) or die $! }, $errno, $step, $takes, 'else what it takes', @root, $option => $value);
    };
    $is->('hostname x', EPERM, 'sethostname', hostname => 'x', 'it takes CAP_SYS_ADMIN in the user namespace');
    $is->('loopback', EPERM, 'ioctl', loopback => 1, 'it takes CAP_NET_ADMIN in the network namespace');
    $is->('private mounts', EACCES, 'mount', flags => Linux::Clone::NEWNS(), '');
    $is->('private mounts', EPERM, 'mount', flags => Linux::Clone::NEWNS(), 'it takes CAP_SYS_ADMIN in the user namespace');
    $is->("root $dir", EPERM, 'pivot_root', root => "$dir", 'it takes CAP_SYS_ADMIN in the user namespace');
    $is->("root $dir", EACCES, 'pivot_root', root => "$dir", '');
    $is->("root $dir", EPERM, 'unshare', root => "$dir", 'it takes CAP_SYS_ADMIN in the user namespace');
    SKIP: {
        my $end = end(code => sub { 0 }, @root, time_offsets => { monotonic => 1 });
        skip "the kernel refuses a time namespace: $end", 4 if $end ne 'exit 0';
        $is->('time_offsets', EPERM, 'unshare', time_offsets => { monotonic => 1 }, 'it takes CAP_SYS_ADMIN in the user namespace');
        $is->('time_offsets', EPERM, 'setns', time_offsets => { monotonic => 1 }, 'it takes CAP_SYS_TIME and CAP_SYS_ADMIN');
    }
    fails_in(\@outer, sub { restrict(); refuse_map() }, EACCES, 'uid_map', $setting, 'uid_map, restricted', uid_map => 'root');
    fails_in(\@outer, \&refuse_map, EACCES, 'uid_map', '', 'else nothing is known', uid_map => 'root');
    fails_in(\@outer, sub { restrict() }, EPERM, 'uid_map', q{the row [0, 5, 1] has ids that the caller's own user namespace lacks}, 'what is known for sure comes first', uid_map => [ [ 0, 5, 1 ] ]);
    # no user namespace is made: nothing to do with it, if the caller is not in one
    SKIP: {
        skip 'for root', 1 if $uid != 0;
        fails_in([ flags => Linux::Clone::NEWNS() ], sub { restrict(sethostname => EPERM) }, EPERM, 'hostname x', 'it takes CAP_SYS_ADMIN in the user namespace', 'not for root', hostname => 'x');
    }
    # time_offsets of a caller that does not own its /proc/self
    SKIP: {
        skip 'for root', 1 if $uid != 0;
        fails_in([], sub { POSIX::setgid(65534); POSIX::setuid(65534) }, EACCES, 'time_offsets',
            'a caller that has changed its ids does not own its /proc/self before it calls exec; see PR_SET_DUMPABLE in prctl(2)', 'time_offsets', flags => Linux::Clone::NEWUSER(), time_offsets => { monotonic => 1 });
    }
    # limits, of a namespace that the child makes itself
    for (['time', 'time_offsets', time_offsets => {} ], ['mnt', "root $dir", root => "$dir"]) {
        my ($kind, $step, @options) = @$_;
        my $limit = "/proc/sys/user/max_${kind}_namespaces";
        next if !-e $limit;
        fails_in(\@root, sub { open my $fh, '>', $limit or die $!; syswrite $fh, 0 or die $! }, ENOSPC, $step, 'a limit below /proc/sys/user, or namespaces nested too deeply', "user.max_${kind}_namespaces is 0", @options);
    }
    # a kernel without some namespaces
    my $bare = sub { system('mount', '-t', 'tmpfs', 'none', "/proc/$$/ns") == 0 or die 'mount'; FaultTest::seccomp(clone => EINVAL) or die $! };
    fails_in(\@outer, $bare, EINVAL, 'clone', 'this kernel has no UTS namespaces', 'a kernel without them', flags => Linux::Clone::NEWUTS());
    fails_in(\@outer, $bare, EINVAL, 'clone', '', 'none is asked for');
}

# ---- root ----

SKIP: {
    my $end = end(code => sub { 0 }, @user, flags => Linux::Clone::NEWNS());
    skip "the kernel refuses a mount namespace: $end", 5 if $end ne 'exit 0';
    # its mounts are another namespace's
    my $child = spawn(code => sub { sleep 60 }, @user, flags => Linux::Clone::NEWNS()) or die $Linux::Clone::error;
    opendir my $elsewhere, '/proc/' . $child->pid . "/root$dir" or die $!;
    my $there = '/proc/self/fd/' . fileno $elsewhere;
    fails(EINVAL, "root $there", q{the directory is not in the caller's mount namespace}, 'a directory of another mount namespace', @user, root => $there);
    $child->kill('KILL');
    $child->wait;
    fails(ENOENT, 'root /proc/self/fd/999', '', 'no such descriptor', @user, root => '/proc/self/fd/999');
    fails(EPERM, "root $dir", 'the namespaces need CAP_SYS_ADMIN, or NEWUSER with them', 'a user without a namespace', root => "$dir") if $uid != 0;
}

# ---- directories that the child's ids cannot enter ----

{
    File::Path::mkpath("$dir/closed/below");
    chmod 0700, "$dir/closed";
    my $by = sub { my ($user, $group) = @_; return "by then the child is user $user and group $group, who may not enter $dir/closed" };
    my @maps = $uid == 0 ? (uid_map => [ [ 0, 100_000, 10 ] ], gid_map => [ [ 5, 500_000, 5 ], [ 0, 200_000, 5 ] ]) : ();
    SKIP: {
        skip 'rows by the parent: for root', 4 if $uid != 0;
        is end(exec => ['true'], @maps, cwd => "$dir/closed/below"), 'errno ' . EACCES . ": Linux::Clone::spawn: cwd $dir/closed/below: Permission denied (" . $by->(100_000, 200_000) . ')', 'cwd';
        fails(EACCES, "root $dir/closed/below", $by->(100_000, 200_000), 'root', @maps, root => "$dir/closed/below");
        is end(exec => ['true'], uid_map => [ [ 0, 100_000, 10 ] ], cwd => "$dir/closed/below"), 'errno ' . EACCES . ": Linux::Clone::spawn: cwd $dir/closed/below: Permission denied (" . $by->(100_000, 0) . ')', 'a user map alone';
        chown 65534, 65534, "$dir/closed";
        is end(exec => ['true'], @root, cwd => "$dir/closed/below"), 'errno ' . EACCES . ": Linux::Clone::spawn: cwd $dir/closed/below: Permission denied (" . $by->(0, 0) . ')', 'root of a namespace is not root of the system';
        my $program = script('closed/program', "#!/bin/sh\n");
        is end(exec => [$program], @maps), 'errno ' . EACCES . ": Linux::Clone::spawn: exec $program: Permission denied (" . $by->(100_000, 200_000) . ')', 'a program';
        # a mapped user's directory does not keep the root of the namespace out
        File::Path::mkpath("$dir/mapped/closed/below");
        chown 100_005, 200_001, "$dir/mapped" or die $!;
        chmod 0, "$dir/mapped";
        is end(exec => ['true'], @maps, cwd => "$dir/mapped"), 'exit 0', 'one of a mapped owner';
        chmod 0700, "$dir/mapped/closed";
        is end(exec => ['true'], @maps, cwd => "$dir/mapped/closed/below"), 'errno ' . EACCES . ": Linux::Clone::spawn: cwd $dir/mapped/closed/below: Permission denied (" . $by->(100_000, 200_000) =~ s{closed}{mapped/closed}r . ')', 'but one below it';
        # groups that it keeps, and ACLs, may let it in: then none is blamed
        chown 65534, 0, "$dir/closed";
        chmod 0750, "$dir/closed";
        is end(exec => ['true'], uid_map => [ [ 0, 100_000, 10 ] ], cwd => "$dir/closed/below"), 'exit 0', 'the own group may';
        chown 65534, 65534, "$dir/closed";
        is end(exec => ['true'], uid_map => [ [ 0, 100_000, 10 ] ], cwd => "$dir/closed/below"), 'errno ' . EACCES . ": Linux::Clone::spawn: cwd $dir/closed/below: Permission denied (" . $by->(100_000, 0) =~ s/, who.*//r . ')', 'a group that may';
        is end(exec => ['true'], @maps, cwd => "$dir/closed/below"), 'errno ' . EACCES . ": Linux::Clone::spawn: cwd $dir/closed/below: Permission denied (" . $by->(100_000, 200_000) . ')', 'that the child has left';
        chmod 0700, "$dir/closed";
        # a program below cwd is not where the caller sees that name
        script('mapped/closed/tool', ':');
        chmod 0711, "$dir/mapped";
        File::Path::mkpath("$dir/cwd/mapped/closed");
        script('cwd/mapped/closed/tool', ':', 0600);
        chdir $dir or die $!;
        is end(exec => ['mapped/closed/tool'], @maps, cwd => "$dir/cwd"), 'errno ' . EACCES . ': Linux::Clone::spawn: exec mapped/closed/tool: Permission denied (' . $by->(100_000, 200_000) =~ s/, who.*//r . ')', 'a relative program, with cwd';
        chdir '/' or die $!;
        # what cannot be seen is not said
        symlink "$dir/closed/below", "$dir/into" or die $!;
        is end(exec => ['true'], @maps, cwd => "$dir/into"), 'errno ' . EACCES . ": Linux::Clone::spawn: cwd $dir/into: Permission denied (" . $by->(100_000, 200_000) =~ s/, who.*//r . ')', 'by a link';
        File::Path::mkpath("$dir/box2/closed/below");
        chmod 0700, "$dir/box2/closed";
        is end(exec => ['true'], @maps, root => "$dir/box2", cwd => '/closed/below'), 'errno ' . EACCES . ': Linux::Clone::spawn: cwd /closed/below: Permission denied (' . $by->(100_000, 200_000) =~ s/, who.*//r . ')', 'in a new root';
        chown 0, 0, "$dir/closed";
    }
    chmod 0, "$dir/closed";
    is end(exec => ['true'], cwd => "$dir/closed/below"), $uid == 0 ? 'exit 0' : 'errno ' . EACCES . ": Linux::Clone::spawn: cwd $dir/closed/below: Permission denied", 'the ids are the own ones';
    chmod 0700, "$dir/closed";
}

# ---- exec ----

{
    my $fails = sub {
        my ($errno, $program, $hint, $name, @options) = @_;
        local $! = $errno;
        my $message = "errno $errno: Linux::Clone::spawn: exec $program: $!" . ($hint eq '' ? '' : " ($hint)");
        is end(exec => [$program], @options), $message, $name;
    };
    my $is = sub {
        my ($errno, $line, $hint, $name, @options) = @_;
        $fails->($errno, script('script', $line), $hint, $name, @options);
    };
    my $no = "$dir/no";
    $is->(ENOENT, "#!$no\n", qq{its interpreter "$no" is missing}, 'no interpreter');
    $is->(ENOENT, "#! \t$no -w\n", qq{its interpreter "$no" is missing}, 'with an argument');
    $is->(ENOENT, "#!$no", qq{its interpreter "$no" is missing}, 'without the end of the line');
    $is->(ENOENT, "#!/bin/sh\r\n", qq{its interpreter "/bin/sh\\r" is missing: the first line ends in CR LF}, 'CR LF');
    $is->(ENOENT, "#!no/such\n", 'its interpreter "no/such" is missing', 'a relative one');
    my $inner = script('inner', "#!$no\n");
    $is->(ENOENT, "#!$inner\n", qq{its interpreter's interpreter "$no" is missing}, 'that of the interpreter');
    $is->(EACCES, "#!/etc/passwd\n", 'its interpreter "/etc/passwd" may not be executed', 'one that is no program');
    $is->(EACCES, "#!$dir\n", qq{its interpreter "$dir" may not be executed}, 'a directory');
    $is->(ENOTDIR, "#!/etc/passwd/x\n", 'its interpreter "/etc/passwd/x" cannot be reached: Not a directory', 'below a file');
    symlink 'loop', "$dir/loop" or die $!;
    $is->(ELOOP, "#!$dir/loop\n", qq{its interpreter "$dir/loop" cannot be reached: Too many levels of symbolic links}, 'a loop of links');
    my $self = "$dir/script";
    $is->(ELOOP, "#!$self\n", 'its interpreter has an interpreter, and so on', 'one that is its own');
    # in PATH, and where cwd is
    script('a/tool', "#!$no\n");
    $fails->(ENOENT, 'tool', qq{its interpreter "$no" is missing}, 'in PATH', env => { PATH => "$dir/b:$dir/a" });
    $fails->(ENOENT, './tool', qq{its interpreter "$no" is missing}, 'below cwd', cwd => "$dir/a");
    $fails->(ENOENT, 'tool', '', 'not found', env => { PATH => "$dir/b" });
    script('a/sub', "#!b/such\n");
    $fails->(ENOENT, './sub', 'its interpreter "b/such" is missing', 'both below cwd', cwd => "$dir/a");
    # ELF
    my $true = FaultTest::true();
    my $elf = slurp($true);
    my ($loader) = $elf =~ m{(/lib\S*/ld[^\0]+)\0} or die 'no loader';
    $fails->(ENOENT, script('elf', $elf =~ s{\Q$loader\E\0}{'/' . 'x' x (length($loader) - 1) . "\0"}er), 'its loader "/' . 'x' x (length($loader) - 1) . '" is missing', 'no ELF loader');
    $fails->(EACCES, script('elf', $elf =~ s{\Q$loader\E\0}{'/etc/passwd' . "\0" x (length($loader) - 10)}er), 'its loader "/etc/passwd" may not be executed', 'no program');
    # headers that lie; sh runs what the kernel does not know
    open my $null, '>', '/dev/null' or die $!;
    my $wrong = sub { my ($at, $bytes) = @_; my $text = $elf; substr $text, $at, length $bytes, $bytes; return script('elf', $text) };
    for my $lie ([ 32, "\xff" x 8 ], [ 54, "\xff\xff\xff\xff" ], [ 56, "\xff\xff" ], [ 4, "\x01" ], [ 5, "\x02" ], [ 64 + 8, "\xff" x 8 ], [ 64 + 56 + 8, "\xff" x 8 ]) {
        my $end = end(exec => [ $wrong->(@$lie) ], stderr => $null);
        ok $end !~ /panic/, "a header that lies at $lie->[0]: $end";
    }
    $fails->(ENOENT, $_, '', 'an empty or odd name') for '', "$dir/no", "$dir/no\n";
    SKIP: {
        my $end = end(code => sub { 0 }, @user, flags => Linux::Clone::NEWNS());
        skip "the kernel refuses a mount namespace: $end", 4 if $end ne 'exit 0';
        # in a new root
        my $root = "$dir/box";
        script("box/true", $elf);
        script("box/script", "#!/bin/sh\n");
        script("box/tool", "#!/no\n");
        symlink '/true', "$root/link" or die $!;
        script("box/plain", ":\n");
        my $view = end(exec => ['/tool'], @user, root => $root) =~ /missing/;
        skip 'this kernel has no openat2', 4 if !$view;
        $fails->(ENOENT, '/true', qq{its loader "$loader" is missing}, 'a root without the loader', @user, root => $root);
        $fails->(ENOENT, '/link', qq{its loader "$loader" is missing}, 'by a link', @user, root => $root);
        $fails->(ENOENT, '/script', 'its interpreter "/bin/sh" is missing', 'without sh', @user, root => $root);
        $fails->(ENOENT, 'script', 'its interpreter "/bin/sh" is missing', 'in its PATH', @user, root => $root, env => { PATH => '/' });
        $fails->(ENOENT, '/plain', 'it has no #! line, and /bin/sh is missing', 'a file for sh', @user, root => $root);
        $fails->(ENOENT, '/bin/true', '', 'what is outside is not there', @user, root => $root);
        opendir my $handle, $root or die $!;
        $fails->(ENOENT, '/tool', 'its interpreter "/no" is missing', 'a root by descriptor', @user, root => '/proc/self/fd/' . fileno $handle);
        # noexec
        is told(sub {
            system('mount', '-t', 'tmpfs', '-o', 'noexec', 'none', "$dir/a") == 0 or die 'mount';
            my $tool = script('a/tool', "#!/bin/sh\n");
            my $script = script('script', "#!$tool\n");
            join "\n", end(exec => [$tool]), end(exec => [$script]);
        }, @user, flags => Linux::Clone::NEWNS()), join("\n",
            'errno ' . EACCES . ": Linux::Clone::spawn: exec $dir/a/tool: Permission denied (it is on a file system that is mounted noexec)",
            'errno ' . EACCES . qq{: Linux::Clone::spawn: exec $dir/script: Permission denied (its interpreter "$dir/a/tool" is on a file system that is mounted noexec)}), 'noexec';
    }
    SKIP: {
        my ($file, $name) = (script('capable', $elf), 'security.capability');
        # CAP_NET_ADMIN, effective, in version 2
        my $capabilities = pack 'L5', 0x02000001, 1 << 12, 0, 0, 0;
        my $set = syscall(nr('setxattr'), $file, $name, $capabilities, length $capabilities, 0);
        skip "this user, or the file system, gives no file capabilities: errno @{[ $! + 0 ]} ($!)", 2 if $set != 0;
        is end(exec => [$file]), 'exit 0', 'a program with capabilities';
        is told(sub { syscall(nr('prctl'), 24, 12, 0, 0, 0) == 0 or die $!; end(exec => [$file]) }),
            'errno ' . EPERM . ": Linux::Clone::spawn: exec $file: Operation not permitted (it has capabilities of its own, and not all of them are in the caller's bounding set)", 'that the caller may not have';
    }
    # neither FIFOs nor devices are opened
    POSIX::mkfifo("$dir/fifo", 0777) or die $!;
    $fails->(EACCES, "$dir/fifo", '', 'a FIFO');
    $is->(EACCES, "#!$dir/fifo\n", qq{its interpreter "$dir/fifo" may not be executed}, 'as an interpreter');

    # ---- too long ----
    my $page = POSIX::sysconf(POSIX::_SC_PAGESIZE());
    my ($most, $more) = (32 * $page - 1, 32 * $page);
    my $too_long = sub {
        my ($hint, $name, @options) = @_;
        local $! = E2BIG;
        is end(@options), 'errno ' . E2BIG . ": Linux::Clone::spawn: exec true: $! ($hint)", $name;
    };
    is end(exec => [ 'true', 'x' x $most ]), 'exit 0', 'the longest argument';
    $too_long->("element 2 of exec has $more bytes, but $most are the most", 'one more', exec => [ 'true', 1, 'x' x $more ]);
    is end(exec => ['true'], env => { LONG => 'x' x ($most - 5) }), 'exit 0', 'the longest variable';
    $too_long->(qq{the variable "LONG" has $more bytes, but $most are the most}, 'one more', exec => ['true'], env => { A => 1, LONG => 'x' x ($more - 5) });
    {
        local $ENV{LONG_ONE} = 'x' x ($more - 9);
        $too_long->(qq{the variable "LONG_ONE" has $more bytes, but $most are the most}, q{the caller's environment}, exec => ['true']);
    }
    my $count = 200;
    $too_long->('its arguments and its environment have ' . (5 + $count * 100_001 + 4) . ' bytes, more than RLIMIT_STACK allows', 'all of them', exec => [ 'true', ('x' x 100_000) x $count ], env => { A => 1 });
}

# ---- cgroup ----

SKIP: {
    my ($root) = map { /^\S+ (\S+) cgroup2 / ? $1 : () } split /\n/, slurp('/proc/self/mounts');
    skip 'no cgroup2 file system is mounted', 1 if !$root;
    my $group = "$root/linux-clone-hints-" . "$dir" =~ s{.*/}{}r;
    mkdir $group or skip "the kernel refuses a control group: errno @{[ $! + 0 ]} ($!)", 1;
    opendir my $handle, $group or die $!;
    is end(code => sub { 5 }, cgroup => $handle), 'exit 5', 'a control group';
    rmdir $group or die $!;
    fails(ENOENT, 'clone', 'cgroup has been removed', 'one that was removed', cgroup => $handle);
}

is children(), 0, 'no child is left';
is $state->(), $at_start, 'no stack, descriptor or child more than at the start';

done_testing;

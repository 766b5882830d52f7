# The manual: its pages, their form and their links, its programs, and what it says of messages.
use strict;
use warnings;
use File::Find qw(find);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest;
use Linux::Clone qw(:flags);
use Config;
use Pod::Checker ();
use Pod::Simple::SimpleTree ();
use POSIX qw(EPERM SIGCHLD);

# ---- pages ----

# The manual's pages, the first one first, with the sections that each has.
my @pages = (
    'Linux::Clone' => [
        'NAME', 'VERSION', 'SYNOPSIS', 'DESCRIPTION', 'PAGES', 'FUNCTIONS', 'FLAGS', 'PIDFD AND WAIT CONSTANTS',
        'KCMP CONSTANTS', 'NAMESPACE CONSTANTS', 'INTERFACE FLAGS', 'THE CHILD', 'THREADS', 'STACK', 'SECURITY', 'EXPORTS',
        'DIAGNOSTICS', 'CAVEATS', 'DIFFERENCES', 'SEE ALSO', 'AUTHORS', 'LICENSE',
    ],
    'Linux::Clone::Spawn' =>
        [ 'NAME', 'SYNOPSIS', 'DESCRIPTION', 'OPTIONS', 'ORDER', 'SPEED', 'ERRORS', 'SEE ALSO', 'AUTHORS', 'LICENSE' ],
    'Linux::Clone::SharedMemory' =>
        [ 'NAME', 'SYNOPSIS', 'DESCRIPTION', 'THE CHILD AND ITS PARENT', 'SEE ALSO', 'AUTHORS', 'LICENSE' ],
    'Linux::Clone::Cookbook' => [ 'NAME', 'DESCRIPTION', 'WITH SPAWN', 'WITH THE SYSTEM CALLS', 'SEE ALSO', 'AUTHORS', 'LICENSE' ],
    'Linux::Clone::Child' => [ 'NAME', 'SYNOPSIS', 'DESCRIPTION', 'METHODS', 'SEE ALSO', 'AUTHORS', 'LICENSE' ],
);
my %sections = @pages;
@pages = grep { !ref } @pages;

# Where the module was loaded from, so that a page which is not installed is missed.
my ($lib) = $INC{'Linux/Clone.pm'} =~ m{(.*)/Linux/Clone\.pm\z};
my (%file, %pod);
for my $page (@pages) {
    ($file{$page}) = grep { -e } map { "$lib/" . $page =~ s{::}{/}gr . $_ } '.pm', '.pod';
    my $text = defined $file{$page} ? slurp($file{$page}) : '';
    ($pod{$page}) = ($file{$page} // '') =~ /\.pm\z/ ? $text =~ /^__END__\n(.*)/ms : $text;
    ok $pod{$page}, "$page: there is a page";
    $pod{$page} //= '';
}
my $pod = $pod{'Linux::Clone'} or BAIL_OUT("no manual in $lib");
my @found;
find({ wanted => sub { push @found, $File::Find::name if /\.(?:pm|pod)\z/ }, no_chdir => 1 }, "$lib/Linux/Clone.pm", "$lib/Linux/Clone");
is_deeply [ sort map { s{^\Q$lib\E/|\.\w+\z}{}gr =~ s{/}{::}gr } @found ], [ sort @pages ], 'the pages in lib are these';

# A section of a page, without its heading.
sub section {
    my ($page, $title) = @_;
    return $pod{$page} =~ /^=head1 \Q$title\E\n(.*?)(?=^=(?:head1|cut)|\z)/ms ? $1 : '';
}

# ---- form ----

for my $page (grep { defined $file{$_} } @pages) {
    my $report = '';
    open my $out, '>', \$report or die $!;
    my $checker = Pod::Checker->new(-warnings => 2);
    $checker->parse_from_file($file{$page}, $out);
    is $checker->num_errors, 0, "$page: podchecker has no error";
    # the one of perl 5.22 deprecates what the later ones want
    my $old = $Pod::Checker::VERSION < 1.7;
    ok $old || !$checker->num_warnings, "$page: and no warning";
    diag $report if !$old && $report !~ /\A\s*\z/;

    # man indents verbatim lines by seven columns.
    my @wide = grep { /^\s/ ? length > 73 : length > 78 && !/^=item/ } split /\n/, $pod{$page};
    is_deeply \@wide, [], "$page: no line is too wide for 80 columns";
    ok $pod{$page} !~ /\t|[^\x0a\x20-\x7e]/, "$page: no tabs, plain ASCII";
    like $pod{$page}, qr/^=head1 NAME\n\n\Q$page\E - \S/m, "$page: its name";
    like $pod{$page}, qr/^=head1 \Q$_\E$/m, "$page: it has $_" for @{ $sections{$page} };
}
like $pod, qr/^This is the manual of version \Q$Linux::Clone::VERSION\E\.$/m, 'it is the manual of this version';

# ---- links ----

# The text of a part of a page.
sub text_of {
    my ($node) = @_;
    my (undef, undef, @children) = @$node;
    return join '', map { ref ? text_of($_) : $_ } @children;
}

# Of a page's tree: the names that a link may have, and its links to pages, as [page, name].
sub names_and_links {
    my ($page, $node, $names, $links) = @_;
    my ($kind, $attributes, @children) = @$node;
    $names->{ text_of($node) } = 1 if $kind =~ /^(?:head\d|item-text)\z/;
    push @$links, [ map { defined $_ ? "$_" : '' } $attributes->{to} // $page, $attributes->{section} ]
        if $kind eq 'L' && $attributes->{type} eq 'pod';
    names_and_links($page, $_, $names, $links) for grep { ref } @children;
    return;
}

my (%names, %links);
for my $page (@pages) {
    $names{$page} = {};
    $links{$page} = [];
    names_and_links($page, Pod::Simple::SimpleTree->new->parse_string_document($pod{$page})->root, $names{$page}, $links{$page});
}
for my $page (@pages) {
    my @ours = grep { $_->[0] =~ /^Linux::Clone\b/ } @{ $links{$page} };
    my @dangling = grep { my ($to, $name) = @$_; !$names{$to} || $name ne '' && !$names{$to}{$name} } @ours;
    is_deeply [ map { "$_->[0]/$_->[1]" } @dangling ], [], "$page: each of its " . @ours . ' links leads to what is there';
    cmp_ok scalar(@ours), '>', 0, "$page: it has links";
    next if $page eq 'Linux::Clone';
    for my $section ('PAGES', 'SEE ALSO') {
        like section('Linux::Clone', $section), qr/L<\Q$page\E>/, "$page: reached from $section of the first page";
    }
    like section($page, 'SEE ALSO'), qr/L<Linux::Clone>/, "$page: and leads back to that";
}

# ---- programs ----

# The programs below a heading: verbatim paragraphs in a row are one.
sub programs {
    my ($text) = @_;
    my (@programs, $open);
    for my $paragraph (split /\n{2,}/, $text =~ s/\A\n+//r) {
        if ($paragraph !~ /^ /) {
            undef $open;
            next;
        }
        push @programs, '' if !$open;
        $open = 1;
        $programs[-1] .= "$paragraph\n\n";
    }
    return @programs;
}

# Why a group of version 2 cannot be made; '' if it can.
sub cgroup_refusal {
    my ($v2) = map { (split)[1] } grep { /^\S+ \S+ cgroup2 / } split /^/, slurp('/proc/self/mounts');
    return 'there are no control groups of version 2' if !defined $v2;
    my $made = mkdir "$v2/test-$$";
    my $refusal = $made ? '' : 'the kernel makes no control group: errno ' . ($! + 0) . " ($!)";
    rmdir "$v2/test-$$" if $made;
    return $refusal;
}

# Why mapping the user, or mounting /proc, is refused in a child with these flags; '' if it is not.
sub refused {
    my ($flags, $mount) = @_;
    my ($uid, $gid) = ($>, $) + 0);
    return result(sub {
        eval { write_maps($uid, $gid); 1 } or return "the kernel refuses a map: $@";
        my $said = $mount ? `{ mount --make-rprivate / && mount -t proc proc /proc; } 2>&1` : '';
        return $said eq '' ? '' : "the kernel refuses to mount /proc: $said";
    }, $flags);
}

# Why setns does not take a pidfd; '' if it does.
sub setns_refusal {
    my $pid = spawn(sub { sleep 60; 0 }, CLONE_NEWUSER);
    my $pidfd = Linux::Clone::pidfd_open($pid);
    my $errno = $pidfd == -1 ? $! + 0 : result(sub { Linux::Clone::setns($pidfd, CLONE_NEWUSER) == 0 ? 0 : $! + 0 });
    POSIX::close($pidfd) if $pidfd != -1;
    kill KILL => $pid;
    waitpid $pid, 0;
    return $errno ? "the kernel does not take a pidfd to setns: errno $errno" : '';
}

# For each recipe: the flags that it needs, what else it needs, and all its output.
my %recipes = (
    'Linux::Clone: SYNOPSIS' => {
        flags  => CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET,
        spawn  => { flags => CLONE_NEWPID, uid_map => 'root', hostname => 'box', loopback => 1 },
        output => qr/\Aprocess 1 of box\nexit status 0\nI am process 1, my parent is 0\nexit status 77\n\z/,
    },
    'Linux::Clone::Spawn: SYNOPSIS' => {
        spawn  => { uid_map => 'root', gid_map => 'root', hostname => 'box', loopback => 1 },
        output => qr{\Aon box, in /\nexit status 0\nI am a child\nexit status 77\nLinux::Clone::spawn: exec /no/such: No such file or directory\n\z},
    },
    'Linux::Clone::SharedMemory: SYNOPSIS' => { flags => 0, output => qr/\Ahello\nexit status 0\n\z/ },
    'Linux::Clone::Child: SYNOPSIS' => { spawn => {}, output => qr/\Aprocess \d+ runs\nsignal 15\n\z/ },
    'Arguments and results'      => { flags => 0, output => qr/\Athe sum is 55\nexit status 0\n\z/ },
    'Waiting for any child'      => { flags => 0, output => qr/\Aexit status 3\nkilled by signal 9\n\z/ },
    'A network namespace'        => {
        flags  => CLONE_NEWUSER | CLONE_NEWNET,
        # modules for tunnels may add devices of theirs to each namespace
        output => qr/\A(?:interface (?:tunl|gre|gretap|erspan|sit|ip6tnl|ip6gre|ip_vti|ip6_vti)0\n)*interface lo\n(?:interface \w+0\n)*\z/,
    },
    'Root in a user namespace'   => {
        flags  => CLONE_NEWUSER,
        map    => 1,
        output => qr/\Ainside: user 0, group 0\noutside: as before\n\z/,
    },
    'A PID namespace with an init' => {
        flags  => CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS,
        map    => 1,
        mount  => 1,
        tool   => 'mount',
        output => qr/\AI am 1, reaped 2, still here: 1\n\z/,
    },
    'A host name'                => {
        flags  => CLONE_NEWUSER | CLONE_NEWUTS,
        map    => 1,
        tool   => 'hostname',
        output => qr/\Ainside: nest\noutside: as before\n\z/,
    },
    'Running a program'          => {
        flags  => CLONE_NEWUSER | CLONE_NEWNET,
        output => qr{\Aa program in a new network\ncannot run /no/such/program: No such file or directory\n\z},
    },
    'A program with its input and output redirected' =>
        { flags => 0, output => qr/\Ait wrote: HELLO\nexit status 3\nno such program: 127\n\z/ },
    'Both a pidfd and a thread id' => { flags => 0, output => qr/\Aone process, one thread\nkilled by a signal\n\z/ },
    q(The child's own id) => { flags => CLONE_NEWUSER | CLONE_NEWPID, output => qr/\Ainside I am 1\noutside it was another\n\z/ },
    'A pidfd'                    => { flags => 0, pidfd => 1, output => qr/\Ait has ended\nexit status 5\n\z/ },
    'Signals and status by a pidfd' => { flags => 0, waitid => 1, output => qr/\Ait runs\nmy child\nsignal 15\n\z/ },
    q(Entering another process's namespaces) => { flags => CLONE_NEWUSER | CLONE_NEWNET, setns => 1, output => qr/\Awelcome to my network\n\z/ },
    'Output of a program, and a time limit' => {
        spawn  => {},
        output => qr/\Ait said: hello\nit ended with 143\n\z/,
    },
    'A container without root'   => {
        spawn  => { uid_map => 'root', gid_map => 'root', mount_proc => 1 },
        output => qr{\AI am process 1, user 0, on box\nI see: /etc /proc\nprocesses: 1\n\z},
    },
    'A network sandbox'          => {
        spawn  => { uid_map => 'self', loopback => 1 },
        output => qr/\A127\.0\.0\.1 works\n192\.0\.2\.1: Network is unreachable\n\z/,
    },
    'Process 1 that reaps'       => {
        spawn  => { uid_map => 'root', gid_map => 'root', mount_proc => 1 },
        output => qr/\Areaped 2, the last one ended with 3\nexit status 3\n\z/,
    },
    'A child in a control group' => {
        root    => 1,
        refused => qr/\Amkdir: (?:Permission denied|Read-only file system)\n\z/,
        cgroup  => 1,
        output  => qr/\Ain its group\n\z/,
    },
    'A clock moved by a day'     => {
        spawn  => { uid_map => 'root', time_offsets => { monotonic => 86_400 } },
        output => qr/\A1 day later\n\z/,
    },
    'A private /tmp'             => {
        flags  => CLONE_NEWNS,
        root   => 1,
        tool   => 'mount',
        output => qr{\Afiles in /tmp: 0\n\z},
    },
);

my ($before, @recipes) = split /^=head2 (.*)\n/m, $pod{'Linux::Clone::Cookbook'} =~ s/^=head1 SEE ALSO\n.*//msr;
my $idiom = '$? & 127 ? 128 + ($? & 127) : $? >> 8';
is_deeply [ programs($before // '') ], ["    my \$status = $idiom;\n\n"], 'no program of the cookbook is without a title';
my @sections = ((map { ("$_: SYNOPSIS" => section($_, 'SYNOPSIS')) } grep { $pod{$_} =~ /^=head1 SYNOPSIS$/m } @pages), @recipes);
my @titles = @sections[ grep { $_ % 2 == 0 } 0 .. $#sections ];
is_deeply [ sort @titles ], [ sort keys %recipes ], 'each recipe has an expectation';

for ([ 3 << 8, 3 ], [ 9, 137 ], [ 11 | 128, 139 ], [ 0, 0 ], [ -1, 255 ]) {
    (local $?, my $expected) = @$_;
    is eval $idiom, $expected, "\$? is $?: the one idiom of the recipes says $expected";
}

while (my ($title, $text) = splice @sections, 0, 2) {
    my @programs = programs($text);
    is @programs, 1, "$title: one program";
    # "Waiting for any child" tells the two apart by itself
    is_deeply [ grep { />> 8/ && !/\Q$idiom\E/ } split /\n/, $text ],
        $title eq 'Waiting for any child' ? ['            : "exit status " . ($? >> 8) . "\n";'] : [],
        "$title: a killed program is no success";
    my $recipe = $recipes{$title} or next;
    SKIP: {
        my $flags = $recipe->{flags};
        if ($recipe->{root}) {
            like $text, qr/^This one needs root\./m, "$title: it says that it needs root";
            if ($> != 0) {
                my ($output, $status) = perl_output($programs[0]);
                isnt $status, 0, "$title: refused to an unprivileged user";
                like $output, $recipe->{refused} // qr/\Aunshare: Operation not permitted\n\z/, "$title: and says so";
                next;
            }
        }
        if ($recipe->{spawn}) {
            my $child = Linux::Clone::spawn(%{ $recipe->{spawn} }, code => \&nothing);
            skip "the kernel refuses that: errno " . ($! + 0) . ": $Linux::Clone::error", 2 if !$child;
            $child->wait;
        }
        if ($recipe->{cgroup}) {
            my $refusal = cgroup_refusal();
            skip $refusal, 2 if $refusal ne '';
        }
        if ($recipe->{tool}) {
            my @found = grep { -x "$_/$recipe->{tool}" } split /:/, $ENV{PATH} // '';
            skip "there is no program $recipe->{tool}", 2 if !@found;
        }
        needs($flags, 2) if $flags;
        if ($recipe->{map}) {
            my $refusal = refused($flags, $recipe->{mount});
            skip $refusal, 2 if $refusal ne '';
        }
        if ($recipe->{pidfd}) {
            my $pid = Linux::Clone::clone(sub { 0 }, 0, CLONE_PIDFD | SIGCHLD, my $fd);
            skip 'the kernel refuses PIDFD: errno ' . ($! + 0) . " ($!)", 2 if $pid == -1;
            POSIX::close($fd);
            waitpid $pid, 0;
        }
        if ($recipe->{waitid}) {
            my $refusal = waitid_refusal();
            skip $refusal, 2 if $refusal ne '';
        }
        if ($recipe->{setns}) {
            my $refusal = setns_refusal();
            skip $refusal, 2 if $refusal ne '';
        }
        my ($output, $status) = perl_output($programs[0]);
        like $output, $recipe->{output}, "$title: its output";
        is $status, 0, "$title: its exit status";
    }
}

# ---- messages ----

sub croak_of {
    my ($code) = @_;
    return eval { $code->(); 1 } ? 'no exception' : $@;
}

# Calls a function, without its prototype.
sub call_with   { my ($name, @arguments) = @_; my $sub = Linux::Clone->can($name); return sub { $sub->(@arguments) } }
sub clone_with  { return call_with('clone', @_) }
sub clone3_with { return call_with('clone3', \&nothing, @_) }
sub spawn_with  { return call_with('spawn', @_) }
sub open_with   { return call_with('pidfd_open', @_) }
sub signal_with { return call_with('pidfd_send_signal', @_) }
sub wait_with   { return call_with('waitid', @_) }

my $clone = 'Linux::Clone::clone';
my $clone3 = 'Linux::Clone::clone3';
my $unshare = 'Linux::Clone::unshare';
my $spawn = 'Linux::Clone::spawn';
my @sub = (code => \&nothing);
my @program = (exec => ['true']);
my ($open, $signal, $wait) = map { "Linux::Clone::$_" } qw(pidfd_open pidfd_send_signal waitid);
my ($setns, $pivot_root, $kcmp, $siocsifflags, $ns_get) = map { "Linux::Clone::$_" } qw(setns pivot_root kcmp siocsifflags ns_get_%s);
my @ns_get = map { "ns_get_$_" } qw(userns parent nstype owner_uid);
my @kcmp = qw(pid1 pid2 type idx1 idx2);    # its arguments
my ($by_pid, $by_pidfd, $exited) = (Linux::Clone::P_PID, Linux::Clone::P_PIDFD, Linux::Clone::WEXITED);
my @no_integers = (undef, 'text', 1.5, \1, *STDOUT, 9**9**9);
my @no_handles = (undef, 'nosuch', '', 1.5, \1, {}, sub { }, 9**9**9);
sub nothing { 0 }
my $code = \&nothing;

my $tainting = `$^X -T -e 'print \${^TAINT}' 2>&1`;

# A program that makes this call in taint mode, unless this perl has none.
sub tainting {
    my ($call) = @_;
    return if $tainting ne '1';
    my $program = 'use Linux::Clone; my $tainted = 0 . substr $^X, 0, 0; Linux::Clone::' . $call;
    return qq{exec \$^X, '-T', (map { "-I\$_" } \@INC), '-e', q{$program}};
}

# For each message: what brings it about, once or more. A string is a program whose output it is.
my %messages = (
    "$clone: \$coderef must be a CODE reference or the name of a defined sub, not %s" =>
        [ map { clone_with($_, 0, SIGCHLD) } undef, 'undefined', [], \&undefined, bless({}, 'Some') ],
    "$clone: \$stacksize must be an integer, not %s" =>
        [ map { clone_with($code, $_, SIGCHLD) } '4k', 1.5, \1, *STDOUT, 9**9**9 ],
    "$clone: \$flags must be an integer, not %s" => [ map { clone_with($code, 0, $_) } undef, 'NEWNS', 1.5, \1, *STDOUT, 9**9**9 ],
    "$unshare: \$flags must be an integer, not %s" =>
        [ map { my $flags = $_; sub { Linux::Clone::unshare($flags) } } undef, 'NEWNS', 1.5, \1, *STDOUT, 9**9**9 ],
    "$open: \$pid must be an integer, not %s"      => [ map { open_with($_) } @no_integers ],
    "$open: \$flags must be an integer, not %s"    => [ map { open_with($$, $_) } 'text', 1.5, \1, [] ],
    "$signal: \$flags must be an integer, not %s"  => [ map { signal_with(0, 0, $_) } 'text', 1.5, \1, [] ],
    "$wait: \$idtype must be an integer, not %s"   => [ map { wait_with($_, 1, $exited) } @no_integers ],
    "$wait: \$id must be an integer, not %s"       => [ map { wait_with($by_pid, $_, $exited) } @no_integers ],
    "$wait: \$options must be an integer, not %s"  => [ map { wait_with($by_pid, 1, $_) } @no_integers ],
    "$signal: \$pidfd must be a handle or the number of a descriptor, not %s" => [ map { signal_with($_, 0) } @no_handles ],
    "$wait: \$id must be a handle or the number of a descriptor, not %s" => [ map { wait_with($by_pidfd, $_, $exited) } @no_handles ],
    "$signal: \$sig must be the number or the name of a signal, not %s" =>
        [ map { signal_with(0, $_) } undef, '', 'NOSUCH', 'SIG', 'term', '-TERM', 1.5, \1, *STDOUT ],
    "$open: \$pid is out of range: %s"             => [ map { open_with($_) } 1 << 31, -(1 << 31) - 1, 1e30 ],
    "$open: \$flags is out of range: %s"           => [ map { open_with($$, $_) } 1 << 32, -1, 1e30 ],
    "$signal: \$pidfd is out of range: %s"         => [ map { signal_with($_, 0) } 1 << 31, 1e30 ],
    "$signal: \$sig is out of range: %s"           => [ map { signal_with(0, $_) } 1 << 31, 1e30 ],
    "$signal: \$flags is out of range: %s"         => [ map { signal_with(0, 0, $_) } 1 << 32, -1, 1e30 ],
    "$wait: \$idtype is out of range: %s"          => [ map { wait_with($_, 1, $exited) } 1 << 31, 1e30 ],
    "$wait: \$id is out of range: %s" => [ map { my $type = $_; map { wait_with($type, $_, $exited) } 1 << 31, 1e30 } $by_pid, $by_pidfd ],
    "$wait: \$options is out of range: %s"         => [ map { wait_with($by_pid, 1, $_) } 1 << 32, -1, 1e30 ],
    "$setns: \$nstype must be an integer, not %s" => [ map { call_with(setns => 0, $_) } 'text', 1.5, \1, [] ],
    (map {
        my $n = $_;
        ("$kcmp: \$$kcmp[$n] must be an integer, not %s" => [ map { my @a = (1) x 5; $a[$n] = $_; call_with(kcmp => @a) } 'text', 1.5, \1, *STDOUT, 9**9**9 ])
    } 0 .. 4),
    "$siocsifflags: \$flags must be an integer, not %s" => [ map { call_with(siocsifflags => 'nosuch0', $_) } 'up', 1.5, [] ],
    "$setns: \$fh_or_fd must be a handle or the number of a descriptor, not %s"   => [ map { call_with(setns => $_, 0) } @no_handles ],
    "$ns_get: \$fh_or_fd must be a handle or the number of a descriptor, not %s"  => [ map { my $f = $_; map { call_with($f => $_) } @no_handles } @ns_get ],
    (map {
        my $n = $_;
        ("$kcmp: \$$kcmp[$n] must be a handle or the number of a descriptor, not %s" =>
            [ map { my @a = (1, 1, Linux::Clone::KCMP_FILE, 0, 0); $a[$n] = $_; call_with(kcmp => @a) } grep { defined } @no_handles ])
    } 3, 4),
    "$kcmp: \$idx2 must be the 12 bytes of a struct kcmp_epoll_slot, or their address, not %s" =>
        [ map { call_with(kcmp => 1, 1, Linux::Clone::KCMP_EPOLL_TFD, 0, $_) } '', 'short', "\x{20ac}" x 12, 1.5, [], *STDIN ],
    "$pivot_root: \$new_root must be the name of a directory, not %s" => [ map { call_with(pivot_root => $_, '/') } undef, [], *STDOUT, \*STDOUT ],
    "$pivot_root: \$old_root must be the name of a directory, not %s" => [ map { call_with(pivot_root => '/', $_) } undef, [], *STDOUT, \*STDOUT ],
    "$pivot_root: \$new_root has a NUL: %s" => [ call_with(pivot_root => "/tmp\0", '/') ],
    "$pivot_root: \$old_root has a NUL: %s" => [ call_with(pivot_root => '/', "\0") ],
    "$siocsifflags: \$ifname must be the name of an interface, 1 to 15 bytes without a NUL, not %s" =>
        [ map { call_with(siocsifflags => $_) } undef, '', "lo\0", 'x' x 16, [], *STDOUT ],
    "$setns: \$fh_or_fd is out of range: %s"   => [ map { call_with(setns => $_) } 1 << 31, 1e30 ],
    "$setns: \$nstype is out of range: %s"     => [ map { call_with(setns => 0, $_) } 1 << 32, -1, 1e30 ],
    "$ns_get: \$fh_or_fd is out of range: %s"  => [ map { my $f = $_; map { call_with($f => $_) } 1 << 31, 1e30 } @ns_get ],
    (map {
        my $n = $_;
        ("$kcmp: \$$kcmp[$n] is out of range: %s" => [ map { my @a = (1, 1, 0, 0, 0); $a[$n] = $_; call_with(kcmp => @a) } 1 << 31, 1e30 ])
    } 0 .. 4),
    "$siocsifflags: \$flags is out of range: %s" => [ map { call_with(siocsifflags => 'nosuch0', $_) } 1 << 16, -1, 1e30 ],
    "Usage: $setns(fh_or_fd, nstype = 0)" => [ call_with('setns'), call_with(setns => 0, 0, 0) ],
    "Usage: $pivot_root(new_root, old_root)" => [ call_with(pivot_root => '/'), call_with(pivot_root => ('/') x 3) ],
    "Usage: $kcmp(pid1, pid2, type, idx1 = 0, idx2 = 0)" => [ call_with(kcmp => 1, 1), call_with(kcmp => (1) x 6) ],
    "Usage: $siocsifflags(ifname, flags = undef)" => [ call_with('siocsifflags'), call_with(siocsifflags => 'nosuch0', 1, 1) ],
    'Linux::Clone::configure_loopback: %s' => [ sub { die result(sub { POSIX::setuid(65534) if $> == 0; eval { Linux::Clone::configure_loopback() }; $@ }) } ],
    'Usage: Linux::Clone::configure_loopback()' => [ call_with(configure_loopback => 1) ],
    "Usage: $ns_get(fh_or_fd)" => [ map { (call_with($_), call_with($_ => 0, 0)) } @ns_get ],
    "$clone: \$stacksize is negative: %d"     => [ clone_with($code, -1, SIGCHLD) ],
    "$clone: \$flags is out of range: %s"     => [ clone_with($code, 0, 1e30) ],
    "$unshare: \$flags is out of range: %s"   => [ sub { Linux::Clone::unshare(1e30) } ],
    "$clone: \$flags has bits above the 32 that clone(2) reads: %#x" => [ map { clone_with($code, 0, $_) } 1 << 32, -1 ],
    "$clone: the exit signal in \$flags is %d, but signals end at 64" => [ clone_with($code, 0, 65) ],
    "$clone: clone(2) has no NEWTIME: its bit belongs to the exit signal; use unshare or clone3" => [ clone_with($code, 0, CLONE_NEWTIME) ],
    "$clone: VM without VFORK would run two processes in one interpreter at once; use VM|VFORK, or leave VM out" =>
        [ clone_with($code, 0, CLONE_VM | SIGCHLD) ],
    # xt/author/emulated.t
    "$clone: VM|VFORK does not share memory here (valgrind, an emulator): the child would have a copy; leave both out" => [],
    "$clone: SETTLS with VM would give one interpreter two thread-local storages; leave one of them out" =>
        [ clone_with($code, 0, CLONE_SETTLS | CLONE_VM | CLONE_VFORK | SIGCHLD, undef, 4096) ],
    "$clone: SIGHAND with NEWPID would make the parent ignore SIGCHLD when the child ends; leave SIGHAND out" =>
        [ clone_with($code, 0, CLONE_SIGHAND | CLONE_NEWPID | CLONE_VM | CLONE_VFORK | SIGCHLD) ],
    "$clone: SETTLS needs \$tls" => [ clone_with($code, 0, CLONE_SETTLS | SIGCHLD) ],
    "$clone: \$tls is no address in memory: %s" =>
        $Config{archname} =~ /^i[3-6]86/ ? [] : [ map { clone_with($code, 0, CLONE_SETTLS | SIGCHLD, undef, $_) } 'x', 0, [] ],
    "$clone: \$tls must be the 16 bytes of a struct user_desc, not %s" =>
        $Config{archname} =~ /^i[3-6]86/ ? [ clone_with($code, 0, CLONE_SETTLS | SIGCHLD, undef, 'x') ] : [],
    "$clone: %s needs \$ctid" => [ map { clone_with($code, 0, $_ | SIGCHLD) } CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID ],
    "$clone: \$ctid is no address of a word in memory: %s" =>
        [ map { my $address = $_; sub { Linux::Clone::clone($code, 0, CLONE_CHILD_SETTID | SIGCHLD, undef, undef, $address) } } 1 << 40, 1 << 62 ],
    "$clone: \$ctid is neither a variable nor an address: %s" =>
        [ sub { Linux::Clone::clone($code, 0, CLONE_CHILD_SETTID | SIGCHLD, undef, undef, 'x') } ],
    "$spawn: an odd number of arguments: options are names and values" => [ spawn_with('code'), spawn_with(@sub, 'flags') ],
    "$spawn: it is a function, not a method: call Linux::Clone::spawn" => [ sub { Linux::Clone->spawn(@sub) }, spawn_with('Linux::Clone', 'code') ],
    qq{$spawn: there is no option "%s"} => [ spawn_with(@sub, Code => 0), spawn_with(@sub, namespaces => undef) ],
    "$spawn: the name of an option must be a string, not %s" => [ map { spawn_with(@sub, $_ => 1) } undef, {}, \1, *STDOUT ],
    "$spawn: it needs code or exec"     => [ spawn_with(), spawn_with(code => undef), spawn_with(hostname => 'x') ],
    "$spawn: code and exec exclude each other" => [ spawn_with(@sub, @program) ],
    "$spawn: %s is for exec, not for code" =>
        [ map { spawn_with(@sub, @$_) } [cwd => '/'], [env => {}], [stdin => 0], [stdout => 1], [stderr => 2] ],
    "$spawn: exit_signal is for code: the kernel makes that of a program SIGCHLD" =>
        [ map { spawn_with(@program, exit_signal => $_) } 0, 'USR1' ],
    "$spawn: flags may not have %s" =>
        [ map { spawn_with(@sub, flags => $_) } CLONE_VM, CLONE_VFORK, CLONE_FILES, CLONE_FS | CLONE_NEWNS, CLONE_THREAD, CLONE_PARENT, CLONE_PIDFD ],
    "$spawn: flags has an exit signal: that is the option exit_signal" => [ spawn_with(@sub, flags => CLONE_NEWNS | SIGCHLD) ],
    "$spawn: flags has unknown bits: %#x" => [ spawn_with(@sub, flags => 1 << 40) ],
    "$spawn: exec must be a reference to an array of a program and its arguments, not %s" =>
        [ map { spawn_with(exec => $_) } 'true', {}, \'true', bless([], 'Some') ],
    "$spawn: exec is empty: it needs a program" => [ spawn_with(exec => []) ],
    "$spawn: element %d of exec is undef"       => [ spawn_with(exec => ['true', undef]) ],
    "$spawn: %s must be a string, not %s" =>
        [ (map { my $name = $_; map { spawn_with(@program, $name => $_) } \1, [], *STDOUT } qw(root cwd hostname)), spawn_with(exec => ['true', []]) ],
    "$spawn: %s has a NUL: %s" =>
        [ (map { spawn_with(@program, $_ => "a\0b") } qw(root cwd hostname)), spawn_with(exec => ['true', "\0"]) ],
    "$spawn: env must be a reference to a hash, not %s" => [ map { spawn_with(@program, env => $_) } 'A=1', ['A=1'] ],
    "$spawn: env has a wrong name: %s"  => [ map { spawn_with(@program, env => { $_ => 1 }) } '', 'A=B' ],
    "$spawn: env has a value that is no string: that of %s" => [ map { spawn_with(@program, env => { A => $_ }) } undef, [], *STDOUT ],
    "$spawn: env has a NUL: in %s"      => [ map { spawn_with(@program, env => $_) } { A => "\0" }, { "A\0" => 1 } ],
    "$spawn: %s must be 'root', 'self' or a reference to an array of rows [inside, outside, count], not %s" =>
        [ map { spawn_with(@sub, uid_map => $_), spawn_with(@sub, gid_map => $_) } 'Root', 1, [], {}, [0, 0, 1], [[0, 0]] ],
    "$spawn: %s has a row that is empty, or ends above all ids: [%d, %d, %d]" =>
        [ map { spawn_with(@sub, uid_map => [$_]) } [0, 0, 0], [2**32 - 1, 0, 1], [0, 2**32 - 2, 2] ],
    "$spawn: time_offsets must be a reference to a hash, not %s" => [ map { spawn_with(@sub, time_offsets => $_) } 5, [] ],
    qq{$spawn: time_offsets knows monotonic and boottime, not "%s"} => [ spawn_with(@sub, time_offsets => { realtime => 1 }) ],
    "$spawn: time_offsets must have seconds for %s, not %s" =>
        [ map { spawn_with(@sub, time_offsets => { boottime => $_ }) } undef, 'x', 9**9**9, [] ],
    "$spawn: hostname has %d bytes, but 64 are the most" => [ spawn_with(@sub, hostname => 'x' x 65) ],
    'Linux::Clone::Child::%s: $seconds must be a number of seconds, 0 or more, not %s' => [ map {
        my $seconds = $_;
        my $child = bless {}, 'Linux::Clone::Child';
        (sub { $child->wait($seconds) }, sub { $child->kill_on_destroy('TERM', $seconds) }, sub { $child->terminate('TERM', $seconds) });
    } -1, 'soon', '', [], -sin(9**9**9) ],
    "$clone3: the second argument must be a reference to a hash, not %s" => [ map { clone3_with($_) } undef, 5, [] ],
    qq{$clone3: there is no "%s" in struct clone_args} => [ clone3_with({ flag => 0 }) ],
    "$clone3: %s must be a reference to a scalar, not %s" => [ map { clone3_with({ $_ => 5 }) } qw(pidfd parent_tid) ],
    "$clone3: set_tid must be a reference to an array of thread ids, not %s" => [ map { clone3_with({ set_tid => $_ }) } 5, ['x'] ],
    'Linux::Clone: a thread id at an address is not for a child of a child that shares memory; use a variable' => [ sub {
        my $word = pack 'x64';
        my $address = unpack('J', pack 'p', $word) + 7 & ~7;
        my $error;
        my $shared = CLONE_VM | CLONE_VFORK | SIGCHLD;
        waitpid Linux::Clone::clone(sub { $error = eval { Linux::Clone::clone($code, 0, $shared | CLONE_CHILD_SETTID, undef, undef, $address); 1 } ? '' : $@; 0 }, 0, $shared), 0;
        die $error;
    } ],
    "$clone3: child_tid must be a reference to a scalar or an address, not %s" => [ map { clone3_with({ child_tid => $_ }) } 5, [], undef ],
    # not on this machine's architecture, or else not on others
    "$clone3: VM needs a stack of the child's own; here only clone gives it" =>
        $Config{archname} =~ /^(?:x86_64|aarch64)/ ? [] : [ clone3_with({ flags => CLONE_VM | CLONE_VFORK }) ],
    "$clone3: %s needs %s" => [ map { clone3_with({ flags => $_ }) } CLONE_PIDFD, CLONE_SETTLS, CLONE_INTO_CGROUP, CLONE_CHILD_SETTID ],
    "Usage: $clone3(coderef, \\%clone_args)" => [ sub { &Linux::Clone::clone3($code) } ],
    "$clone: \$ptid cannot be assigned to: it is read-only or a glob (%s)" => [ sub { Linux::Clone::clone($code, 0, SIGCHLD, 5) } ],
    "$clone: PIDFD needs \$ptid: it receives the descriptor" => [ clone_with($code, 0, CLONE_PIDFD | SIGCHLD) ],
    "Usage: $clone(coderef, stacksize, flags, ptid = undef, tls = undef, ctid = undef)" =>
        [ clone_with(), clone_with($code, 0), clone_with($code, 0, SIGCHLD, undef, undef, undef, undef) ],
    "Usage: $unshare(flags)" => [ sub { Linux::Clone::unshare() }, sub { Linux::Clone::unshare(0, 0) } ],
    "Usage: $open(pid, flags = 0)"                 => [ open_with(), open_with(1, 0, 0) ],
    "Usage: $signal(pidfd, sig, flags = 0)"        => [ signal_with(), signal_with(1), signal_with(1, 0, 0, 0) ],
    "Usage: $wait(idtype, id, options)"            => [ wait_with(), wait_with(1, 1), wait_with(1, 1, 4, 0) ],
    'Insecure dependency in Linux::Clone::%s while running with -T switch' =>
        [ map { tainting($_) } 'unshare($tainted)', 'setns(0, $tainted)', 'spawn(cwd => $tainted, exec => ["true"], env => {})' ],
    'Insecure $ENV{%s} while running with -T switch' => [ tainting('spawn(exec => ["true"])') ],
    '"%s" is not exported by the Linux::Clone module' => ['use Linux::Clone qw(NEWNS)'],
    'Linux::Clone object version %s does not match bootstrap parameter %s' =>
        [ sub { XSLoader::load('Linux::Clone', '99.000') } ],
    'Unable to flush stdout: %s' =>
        ['open STDOUT, ">", "/dev/full" or die $!; exec $^X, (map { "-I$_" } @INC), "-MLinux::Clone", "-e",
            q{my $pid = Linux::Clone::clone(sub { print "x"; 0 }, 0, 17); waitpid $pid, 0; exit 0}'],
);

my @items = section('Linux::Clone', 'DIAGNOSTICS') =~ /^=item (.*)$/mg;
is_deeply [ sort @items ], [ sort keys %messages ], 'each message of the manual is brought about here';

for my $item (@items) {
    my $pattern = join '', map { /^%/ ? { '%s' => '.+', '%d' => '-?\d+', '%#x' => '0x[0-9a-f]+' }->{$_} : quotemeta }
        split /(%s|%d|%#x)/, $item;
    for my $cause (@{ $messages{$item} || [] }) {
        if (ref $cause) {
            like croak_of($cause), qr/^$pattern at (?:\Q$0\E|\S+XSLoader\.pm) line \d+\.$/m, $item;
        }
        else {
            my ($output) = perl_output($cause);
            like $output, qr/^$pattern\b/m, $item;
        }
    }
}
ok !eval 'Linux::Clone::clone($code)', 'too few arguments when perl compiles';
like $@, qr/^Not enough arguments for Linux::Clone::clone at /, "are perl's own error";

# ---- spawn's options ----

my $src = "$FindBin::Bin/../src";
my %documented = map { $_ => 1 } map { s/\{.*?\}|\[.*?\]//gr =~ /(\w+) =>/g } section('Linux::Clone::Spawn', 'OPTIONS') =~ /^=item (.*)$/mg;
for my $option (sort keys %documented) {
    like croak_of(spawn_with($option => undef)), qr/^$spawn: it needs code or exec at /, "spawn has the option $option";
}

# The options of the steps, in the order of the list in the sources.
my @steps;
for my $box (slurp("$src/spawn/steps/mod.rs") =~ /^ +Box::<(\w+::\w+)>::default\(\),$/mg) {
    my ($name, $type) = split /::/, $box;
    my $rust = slurp("$src/spawn/steps/$name.rs");
    my ($options) = $rust =~ /^impl Step for $type \{\n.*?fn options\(.*?\{\s*&(.*?)\s*\}$/ms;
    ($options) = $rust =~ /^(?:pub\S* )?const NAMES: [^=]*= (.*?);/ms if ($options // '') eq 'NAMES';
    push @steps, ($options // die "no options in $name.rs") =~ /"(\w+)"/g;
}
my ($others) = slurp("$src/spawn/options.rs") =~ /^    fn read\((.*?)^    \}$/ms;
is_deeply [ sort keys %documented ], [ sort @steps, $others =~ /"(\w+)" =>/g ], 'and each is in the manual';
my ($done, $made) = split /^Then the code is called/m, section('Linux::Clone::Spawn', 'ORDER');
my %in_order = map { $_ => 1 } my @in_order = $done =~ /C<(\w+)>/g;
is_deeply \@in_order, [ grep { $in_order{$_} } @steps ], 'the order of the steps is that of the sources';
is_deeply [ sort $made =~ /C<(\w+)>/g ], [ sort grep { !$in_order{$_} } @steps ], 'and those that it leaves out are of clone';

# ---- messages, the other way round ----

# What the sources croak with is in the manual. In flags.rs that is every text.
my $croak = qr/\b(?:usage|wrong)(\((?:[^()"]++|"(?:[^"\\]|\\.)*"|(?-1))*\))/s;
my @sources;
find({ wanted => sub { push @sources, $_ if /\.rs\z/ }, no_chdir => 1 }, $src);
my $croaks = 0;
for my $source (sort @sources) {
    my $rust = slurp($source) =~ s{^\s*//.*$}{}mgr;
    my ($name) = $source =~ m{/\.\./(src/.*)};
    $rust = join "\n", $rust =~ /$croak/g if $name ne 'src/flags.rs';
    my @said = map { s/\\\n\s*//gr } $rust =~ /"((?:[^"\\]|\\.)*)"/sg;
    my @missing;
    for my $text (grep { / / } @said) {
        my $message = $text =~ s/^Linux::Clone(?:::\S+)?: //r;
        next if $message =~ /^(?:\{[^}]*\}(?: |\\n|$))+$/;
        $croaks++;
        my $pattern = join '.+', map { quotemeta } split /\{[^}]*\}/, $message, -1;
        push @missing, $text if !grep { /^Linux::Clone(?:::[\w%]+)*: $pattern$/ } @items;
    }
    is_deeply \@missing, [], "each message of $name is in the manual";
}
cmp_ok $croaks, '>', 50, 'and there are many';

done_testing;

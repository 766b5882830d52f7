# Descriptors, memory, privileges and what is trusted: nothing goes further than it should.
use strict;
use warnings;
no warnings 'portable';    # addresses have more than 32 bits
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest qw(status result slurp closes_on_exec mappings children descriptors namespace_flags needs perl_output nr);
use Config;
use File::Copy ();
use File::Temp qw(tempdir);
use Linux::Clone qw(:flags clone clone3);
use POSIX qw(ENOENT ENOTDIR SIGCHLD);
use ProcessTest qw(open_files);
use SpawnTest;

my $shared = CLONE_VM | CLONE_VFORK;

# ---- memory ----

# The library: no executable stack, nothing to relocate in what is executed, and what the loader
# has filled in cannot be written.
{
    my ($library) = map { "$_/auto/Linux/Clone/Clone.$Config{dlext}" } grep { -e "$_/auto/Linux/Clone/Clone.$Config{dlext}" } @INC;
    my $elf = slurp($library);
    my ($long, $little) = map { ord } substr($elf, 4, 1), substr($elf, 5, 1);
    my ($end, $word) = ($little == 1 ? '<' : '>', $long == 2 ? 'Q' : 'L');
    my $at = $long == 2 ? 32 : 28;
    my ($table) = unpack "x$at $word$end", $elf;
    my ($size, $count) = unpack 'x' . ($long == 2 ? 54 : 42) . " S$end S$end", $elf;
    my (%flags, @dynamic, @loaded);
    for my $n (0 .. $count - 1) {
        my $header = substr $elf, $table + $n * $size, $size;
        my ($type, $flags, $offset, $bytes) = $long == 2
            ? (unpack "L$end L$end Q$end x16 Q$end", $header)
            : (unpack "L$end x20 L$end", $header)[ 0, 1 ];
        ($offset, $bytes) = unpack "x4 L$end x8 L$end", $header if $long != 2;
        $flags{$type} = $flags;
        push @loaded, $flags if $type == 1;
        @dynamic = unpack "($word$end)*", substr $elf, $offset, $bytes if $type == 2;
    }
    my %dynamic;
    while (my ($tag, $value) = splice @dynamic, 0, 2) { last if !$tag; $dynamic{$tag} = $value }
    my ($text_relocations, $flags, $flags_1) = (22, 30, 0x6ffffffb);
    is $flags{0x6474e551} // 'none', 6, 'the library\'s stack is not executable (PT_GNU_STACK)';
    is scalar(grep { ($_ & 3) == 3 } @loaded), 0, 'no segment is writable and executable';
    ok !exists $dynamic{$text_relocations} && !(($dynamic{$flags} // 0) & 4), 'nothing executable is relocated';
    ok exists $flags{0x6474e552}, 'what is relocated is made read-only (PT_GNU_RELRO)';
    ok +(($dynamic{$flags} // 0) & 8) || (($dynamic{$flags_1} // 0) & 1), 'functions, too, since all are bound at once';
}

# No mapping may be written and executed.
sub dangerous { return join "\n", grep { /^\S+ \S*w\S*x/ } mappings() }
is dangerous(), '', 'nothing is writable and executable before';
is result(\&dangerous), '', 'nor in a child';
{
    my $seen;
    is status(sub { $seen = dangerous(); 0 }, $shared), 'exit 0', 'in shared memory';
    is $seen, '', 'neither';
}
is told(\&dangerous), '', 'nor in a child of spawn';
is end(exec => ['true']), 'exit 0', 'and of one that execs';
is dangerous(), '', 'nor afterwards';

# The stack lies where nobody can tell.
SKIP: {
    chomp(my $randomized = slurp('/proc/sys/kernel/randomize_va_space'));
    chomp(my $persona = eval { slurp('/proc/self/personality') } // 0);
    skip "the kernel does not randomize: randomize_va_space is $randomized", 1 if $randomized == 0 || hex($persona) & 0x40000;
    my $program = <<'PERL';
        use Linux::Clone;
        use ProcessTest qw(guarded mappings);
        my $find = sub { printf "%x\n", $_->{start} for grep { $_->{access} eq 'rw-p' && $_->{size} == 3 << 20 } guarded(mappings()); 0 };
        waitpid Linux::Clone::clone($find, 3 << 20, 17), 0;
PERL
    my %seen;
    $seen{ (perl_output($program))[0] }++ for 1 .. 4;
    cmp_ok scalar(keys %seen), '>', 1, 'the stack is somewhere else in each process' or diag explain \%seen;
    is scalar(grep { !/^[0-9a-f]+\n\z/ } keys %seen), 0, 'it is found';
}

# The guard: whatever recurses, a child that outgrows its stack is killed, and does not touch what
# lies below. There is a mapping that is shared, and so shows what a child has done to it.
SKIP: {
    skip 'the numbers of mmap(2), read(2) and write(2) are not known here', 7 if !defined nr('mmap');
    my $program = <<'PERL';
        use strict; use warnings; no warnings qw(recursion);
        use Cwd ();
        use CloneTest;
        use File::Glob ();
        use Linux::Clone qw(:flags);
        use SpawnTest ();
        my ($kind, $how) = @ARGV;
        my %run = (
            copy   => sub { status($_[0]) },
            shared => sub { status($_[0], CLONE_VM | CLONE_VFORK) },
            spawn  => sub { SpawnTest::end(code => $_[0]) },
        );
        my $run = $run{$kind};

        # this process keeps that stack for its next child
        status(sub { 0 });
        my $stack = (reverse grep { $_->{size} == 4 << 20 } ProcessTest::guarded(mappings()))[0];
        my $below = $stack->{start} - $stack->{guard};
        my $size = 64 << 10;
        # PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS|MAP_FIXED_NOREPLACE
        my $neighbour = syscall(nr('mmap'), $below - $size, $size, 3, 1 | 0x20 | 0x100000, -1, 0);
        if ($neighbour != $below - $size) { print "mmap: errno ", $! + 0, " ($!)\n"; exit }
        my $pattern = "\xa5" x $size;
        my $fill = sub {
            open my $file, '+>', undef or die "a file: $!";
            syswrite $file, $pattern; sysseek $file, 0, 0;
            syscall(nr('read'), fileno $file, $neighbour, $size) == $size or die "read: $!";
        };
        my $intact = sub {
            open my $file, '+>', undef or die "a file: $!";
            syscall(nr('write'), fileno $file, $neighbour, $size) == $size or die "write: $!";
            sysseek $file, 0, 0;
            sysread $file, my ($now), $size;
            return $now eq $pattern;
        };

        package Plus { use overload '+' => sub { main::plus($_[0][0] - 1) }, fallback => 1 }
        sub plus { my ($n) = @_; return $n > 0 ? bless([$n], 'Plus') + 1 : main::last_one() }
        sub sorted { my ($n) = @_; return last_one() if $n <= 0; my @x = sort { sorted($n - 1); 0 } 1, 2; return 0 }
        # several names of files on the stack: more than a page
        sub last_one { Cwd::abs_path('/proc/self/../self/fd'); return 0 }
        # C code that calls itself, without perl code in between
        my @levels = ([]);
        sub cloned { Storable::dclone($levels[ $_[0] ]); return 0 }
        if ($how eq 'cloned') {
            require Storable;
            no warnings 'once';
            $Storable::recursion_limit = -1;
            push @levels, [ $levels[-1] ] for 1 .. 33_000;
        }
        # the same, and in no need of malloc, whose lock a child in shared memory would leave behind
        sub globbed { my @none = File::Glob::bsd_glob('{a}' x $_[0], File::Glob::GLOB_BRACE()); return 0 }
        my $recurse = main->can($how);

        # the deepest that goes well, and some that do not
        my ($good, $bad) = (1, $how eq 'globbed' ? 1300 : 1 << 15);
        my ($killed, $touched, $others) = (0, 0, '');
        my $try = sub {
            my ($depth) = @_;
            $fill->();
            my $end = $run->(sub { $recurse->($depth); 0 });
            $touched++ if !$intact->();
            $killed++ if $end eq 'signal 11';
            $others .= " $end" if $end !~ /^(?:signal 11|exit 0)\z/;
            return $end eq 'exit 0';
        };
        while ($bad - $good > 1) {
            my $depth = int(($good + $bad) / 2);
            $try->($depth) ? ($good = $depth) : ($bad = $depth);
        }
        $try->($bad + $_) for 0 .. 12;
        print $killed > 12 ? 'killed' : "killed $killed times", ", $touched touched$others\n";
PERL
    for my $kind (qw(copy spawn shared)) {
        for my $how ('sorted', $kind eq 'copy' ? qw(plus cloned) : $kind eq 'shared' ? qw(plus globbed) : ()) {
            my ($said) = perl_output($program, $kind, $how);
            next if $said =~ /^mmap: / and fail("$kind, $how: $said");
            is $said, "killed, 0 touched\n", "$kind: $how: SIGSEGV, and what lies below the guard is intact";
        }
    }
}

# ---- what is trusted ----

my @root = $> == 0 ? () : (uid_map => 'root', gid_map => 'root');

# /proc of a new root becomes a link at any moment: nothing is mounted where that leads.
SKIP: {
    my $renameat2 = nr('renameat2');
    skip 'the number of renameat2(2) is not known here', 2 if !defined $renameat2;
    my $root = tempdir(CLEANUP => 1);
    mkdir "$root/$_" or die "$root/$_: $!" for qw(proc elsewhere);
    symlink 'elsewhere', "$root/link" or die "link: $!";
    my ($proc, $link) = map { "$root/$_" } qw(proc link);
    my $child = spawn(@root, root => $root, mount_proc => 1, code => sub { 0 })
        or skip 'the kernel refuses root and mount_proc: ' . SpawnTest::refusal(), 2;
    $child->wait;
    my $exchanger = CloneTest::spawn(sub {
        # AT_FDCWD, RENAME_EXCHANGE
        1 while syscall($renameat2, -100, $proc, -100, $link, 2) == 0;
        return 1;
    });
    my (%ends, $end);
    # more, where the machine is busy and one of the two sleeps
    for my $n (1 .. 5000) {
        $end = end(@root, root => $root, mount_proc => 1, code => sub { -e '/elsewhere/self' ? 1 : 0 });
        $ends{ $end =~ s/^errno (\d+):.*/errno $1/r }++;
        last if $n >= 200 && $ends{'exit 0'} && $ends{ 'errno ' . ENOTDIR };
    }
    kill KILL => $exchanger;
    waitpid $exchanger, 0;
    is $ends{'exit 1'} // 0, 0, 'a /proc that becomes a link: nothing is mounted where it leads to';
    ok $ends{'exit 0'} && $ends{ 'errno ' . ENOTDIR }, 'it was a directory and a link' or diag explain \%ends;
}

# Something else in the place of /proc: what seems to be the child's uid_map is a link.
SKIP: {
    my $dir = tempdir(CLEANUP => 1);
    open my $file, '>', "$dir/victim" or die "victim: $!";
    print {$file} "as it was\n";
    close $file;
    chmod 0777, $dir, "$dir/victim";
    my $program = <<'PERL';
        use Linux::Clone qw(spawn);
        use SpawnTest;
        my ($dir, $map) = @ARGV;
        system('mount', '-t', 'tmpfs', 'tmpfs', '/proc') == 0 or die "mount\n";
        for my $pid ('self', 2 .. 30) {
            mkdir "/proc/$pid";
            symlink "$dir/victim", "/proc/$pid/$_" or die "$!\n" for qw(uid_map gid_map setgroups);
        }
        open my $status, '>', '/proc/self/status' or die "status: $!\n";
        print {$status} "NSpid:\t1\n";
        close $status;
        print end(code => sub { 5 }, uid_map => $map eq 'self' ? $map : [ [ 0, 0, 1 ], [ 1, 1, 1 ] ]);
PERL
    for my $map (qw(rows self)) {
        my @said = told(sub { join '', perl_output($program, $dir, $map) }, @root, flags => CLONE_NEWNS | CLONE_NEWPID);
        skip "no mount(8), or the kernel refuses: @said", 2 if $said[0] =~ /^(?:mount|errno \d+: Linux::Clone::spawn: (?:clone|private))/m;
        like $said[0], qr/^errno @{[ENOENT]}: Linux::Clone::spawn: uid_map: .*no proc/, "$map: what is no proc(5) is not taken for it";
        is slurp("$dir/victim"), "as it was\n", 'and nothing is written where it leads to';
    }
}

# ---- descriptors ----

# A program that prints its descriptors, but for the directory that it reads them from.
my $list = 'opendir my $d, "/proc/self/fd" or die "$!"; print join " ", sort { $a <=> $b } grep { /^\d+$/ && (readlink("/proc/self/fd/$_") // "") !~ m{^/proc/(?:self|\d+)/fd$} } readdir $d';
my @list = ($^X, '-e', $list);

# What this process has left open for programs itself.
my $inherited = do { open my $fh, '-|', @list or die "perl: $!"; <$fh> };
like $inherited, qr/^0 1 2\b/, 'a program has 0, 1 and 2, and what the caller of this test has left open';


# When it is read a signal is sent, whose handler sends the next until this process waits in spawn.
package Pending {
    sub TIESCALAR { my ($class, $value) = @_; return bless { value => $value }, $class }
    sub FETCH {
        kill USR1 => $$;
        return $_[0]{value};
    }
}

# Calls the code while spawn waits for a child that is a copy. What it returns, and how that ends.
sub meanwhile {
    my ($code, @options) = @_;
    my @got;
    my %before = open_files();
    my $early = 0;
    local $SIG{USR1} = sub {
        my %now = open_files();
        # not yet: newer perls look for signals more often
        return kill USR1 => $$ if !grep({ !$before{$_} && $now{$_} =~ /^socket/ } keys %now) && $early++ < 100;
        push @got, eval { $code->() } // "died: $@";
    };
    tie my $late, 'Pending', 0;
    my $end = end(@options, stack_size => $late);
    return ($end, @got);
}

my @copy = (@root, flags => CLONE_NEWPID, parent_death => 'KILL');
SKIP: {
    needs(namespace_flags(CLONE_NEWPID), 5);
    my %before = open_files();
    for ([ 'code', code => sub { 7 } ], [ 'a program', exec => [ $^X, '-e', 'exit 7' ] ]) {
        my ($name, @work) = @$_;
        my ($end, $found) = meanwhile(sub {
            my %now = open_files();
            delete @now{ keys %before };
            return join ' ', map { $now{$_} =~ s/:.*//r . (closes_on_exec($_) ? '' : ' (inherited)') } sort { $now{$a} cmp $now{$b} } keys %now;
        }, @copy, @work);
        is "$end: $found", 'exit 7: anon_inode socket', "$name: while it starts there are a pidfd and a socket more, close-on-exec";
    }
    my ($end, $found) = meanwhile(sub { open my $fh, '-|', @list or die "perl: $!"; <$fh> }, @copy, code => sub { 7 });
    is "$end: $found", "exit 7: $inherited", 'another program that is started meanwhile has nothing of it';
    is_deeply { open_files() }, \%before, 'nothing is left';
    local $^F = 200;
    ($end, $found) = meanwhile(sub { open my $fh, '-|', @list or die "perl: $!"; <$fh> }, @copy, code => sub { 7 });
    # perl's own pipe, of which the child has the other end
    is "$end: $found" =~ s/^(exit 7: \Q$inherited\E)(?: \d+){0,3}\z/$1/r, "exit 7: $inherited", 'nor if $^F is high';
    my $child = spawn(code => sub { 0 }) or die $Linux::Clone::error;
    ok closes_on_exec(fileno $child->pidfd), 'with which the pidfd\'s handle is close-on-exec, too';
    $child->wait;
}

# Whatever it is started with, a program has what it is to have.
{
    my $dir = tempdir(CLEANUP => 1);
    open my $handle, '+>', "$dir/file" or die "file: $!";
    my @options = (
        [],
        [ cwd => '/', env => { PATH => '/bin' } ],
        [ stdin => $handle ],
        [ stdin => 1, stderr => 0 ],
        [ stack_size => 1 << 20 ],
        [ flags => CLONE_CLEAR_SIGHAND ],
        [ parent_death => 'KILL' ],
        [ @root, flags => CLONE_NEWPID, parent_death => 'KILL' ],
        [ @root, hostname => 'x', loopback => 1 ],
        [ @root, mount_proc => 1 ],
        [ @root, time_offsets => { boottime => 5 } ],
        [ uid_map => 'self', gid_map => 'self' ],
        ($> == 0
            ? ([ uid_map => [ [ 0, 0, 2 ] ], gid_map => [ [ 0, 0, 2 ] ] ], [ flags => CLONE_NEWPID, set_tid => [1] ],
                [ uid_map => [ [ 0, 0, 2 ] ], flags => CLONE_NEWPID | CLONE_NEWIPC, hostname => 'x', mount_proc => 1, loopback => 1, parent_death => 'KILL', time_offsets => { boottime => 5 } ])
            : ()),
    );
    for (@options) {
        my @option = @$_;
        my $name = join ' ', map { ref ? '...' : $_ } @option;
        my $got = output(@option, exec => \@list);
        SKIP: {
            # what this system does not give: no wrong number of descriptors can come of that
            skip "the kernel refuses $name: $got", 1 if $got =~ /^errno /;
            is $got, $inherited, "its descriptors: $name";
        }
    }
}

# A program that another thread starts, whatever this one is at.
SKIP: {
    skip 'this perl has no threads', 2 if !$Config{useithreads};
    require threads;
    my $other = threads->create({ context => 'list' }, sub {
        my %seen;
        for (1 .. 30) {
            open my $fh, '-|', @list or die "perl: $!";
            $seen{ <$fh> }++;
        }
        return %seen;
    });
    my $started = 0;
    while ($other->is_running) {
        $started += end(@$_) eq 'exit 0' for [ exec => ['true'] ], [ @copy, exec => ['true'] ], [ @copy, code => sub { 0 } ];
    }
    my %seen = $other->join;
    is_deeply \%seen, { $inherited => 30 }, '30 programs of another thread have nothing of spawn\'s';
    cmp_ok $started, '>', 10, "while this one has started $started children";
}

# ---- ids ----

# setgroups(2) is denied where somebody without privileges maps the own group: the kernel takes no
# such word after the map is there, so it came first.
{
    my $said = told(sub { slurp('/proc/self/setgroups') . slurp('/proc/self/gid_map') =~ s/ +/ /gr }, uid_map => 'self', gid_map => 'self');
    my $group = $) + 0;
    SKIP: {
        skip "the kernel refuses user namespaces: $said", 1 if $said =~ /^errno \d+: Linux::Clone::spawn: clone/;
        is $said, ($> == 0 ? 'allow' : 'deny') . "\n $group $group 1\n", 'setgroups: ' . ($> == 0 ? 'stays where the caller may map' : 'is denied before an unprivileged map');
    }
}

# What the manual says that spawn does not take away.
SKIP: {
    skip 'the files and groups of root', 4 if $> != 0;
    my $dir = tempdir(CLEANUP => 1);
    open my $file, '>', "$dir/roots" or die "$dir/roots: $!";
    print {$file} 'as it was';
    close $file;
    chmod 0600, "$dir/roots";
    my $told = told(sub { open my $mine, '>', "$dir/roots" or return "open: $!"; print {$mine} 'written'; close $mine ? 'done' : "close: $!" },
        uid_map => 'root', gid_map => 'root');
    skip "the kernel refuses user namespaces: $told", 4 if $told =~ /^errno/;
    is $told . ', ' . slurp("$dir/roots"), 'done, written', "uid_map => 'root' by root: the host's files stay its own";
    $told = told(sub { open my $mine, '>', "$dir/roots" and return 'open'; $! + 0 }, uid_map => [ [ 0, 100_000, 1000 ] ], gid_map => [ [ 0, 100_000, 1000 ] ]);
    is $told, POSIX::EACCES(), 'with a map of other users they are not';

    skip 'the number of prctl(2) is not known here', 2 if !defined nr('prctl');
    chmod 0750, $dir;
    chown 0, 12_345, $dir, "$dir/roots";
    chmod 0640, "$dir/roots";
    for my $map ('root', 'self') {
        is result(sub {
            $) = '65534 12345';
            POSIX::setgid(65534);
            POSIX::setuid(65534);
            syscall nr('prctl'), 4, 1, 0, 0, 0;    # PR_SET_DUMPABLE: its /proc is its own again
            return told(sub { eval { slurp("$dir/roots") } // "no: $!" }, uid_map => $map, gid_map => $map);
        }), 'written', "$map: supplementary groups stay, and what they may read";
    }
}
# The terminal, and the session: fields 6 and 7 of proc_pid_stat(5).
sub terminal { return join ' ', (split ' ', slurp('/proc/self/stat') =~ s/.*\)//sr)[ 3, 4 ] }
is told(\&terminal), terminal(), 'a child has its caller\'s session and terminal';
is output(exec => [ $^X, '-0777', '-ne', 's/.*\)//s; print join " ", (split)[3, 4]', '/proc/self/stat' ]), terminal(), 'a program too';

SKIP: {
    # a terminal of our own, since a test has none, or the developer's
    my $told = result(sub {
        my ($unlock, $number, $simulate) = (0x40045431, 0x80045430, 0x5412);    # TIOCSPTLCK, TIOCGPTN, TIOCSTI
        local $SIG{HUP} = 'IGNORE';    # the terminal goes before its session does
        POSIX::setsid();
        open my $master, '+<', '/dev/ptmx' or return "no terminal: $!";
        ioctl $master, $unlock, my $zero = pack 'i', 0 or return "no terminal: $!";
        ioctl $master, $number, my $n = pack 'i', 0 or return "no terminal: $!";
        open my $terminal, '+<', '/dev/pts/' . unpack 'i', $n or return "no terminal: $!";
        my $child = spawn(code => sub { for (split //, "ls\n") { ioctl $terminal, $simulate, my $byte = $_ or return 1 } return 0 }) or return $Linux::Clone::error;
        $child->wait;
        return 'refused' if $?;
        return 'read ' . readline $terminal;
    });
    skip $told, 1 if $told =~ /^no terminal/;
    my $may = $> == 0 ? 1 : eval { slurp('/proc/sys/dev/tty/legacy_tiocsti') } // 1;
    is $told, $may == 1 ? "read ls\n" : 'refused', 'a child may type into the terminal, where the system lets it';
}

# parent_death is for the child alone; a PID namespace ends with its process 1.
for my $flags (0, namespace_flags(CLONE_NEWPID)) {
    SKIP: {
        needs($flags, 1) if $flags;
        pipe my $read, my $write or die "pipe: $!";
        pipe my $told, my $tell or die "pipe: $!";
        my $parent = fork // die "fork: $!";
        if (!$parent) {
            close $read;
            spawn(parent_death => 'KILL', flags => $flags, code => sub {
                my $grandchild = fork // die "fork: $!";
                if (!$grandchild) { syswrite $tell, "$$\n"; close $tell; sleep 60; POSIX::_exit(0) }
                sleep 60;
            }) or die $Linux::Clone::error;
            sleep 60;
            POSIX::_exit(0);
        }
        close $_ for $write, $tell;
        chomp(my $grandchild = <$told> // 'none');
        kill KILL => $parent;
        waitpid $parent, 0;
        # the pipe ends when all have ended
        vec(my $ready = '', fileno $read, 1) = 1;
        my $ended = select $ready, undef, undef, $flags ? 20 : 0.5;
        is $ended, $flags ? 1 : 0, $flags ? 'with NEWPID a grandchild ends when the parent does' : 'parent_death: a grandchild outlives the parent';
        kill KILL => $grandchild if !$flags && $grandchild =~ /^\d+$/;
    }
}

# A program that becomes another user is, until it runs, a copy of its privileged parent. Processes
# of that user may not look into it.
SKIP: {
    skip 'only who has privileges can make a child another user', 2 if $> != 0;
    my @rows = (uid_map => [ [ 0, 100_000, 10 ] ], gid_map => [ [ 0, 100_000, 10 ] ]);
    my ($end, $found) = meanwhile(sub {
        # it waits for us, since its signal for our death has to be arranged
        for (1 .. 500) {
            for my $pid (split ' ', slurp("/proc/$$/task/$$/children")) {
                my $status = eval { slurp("/proc/$pid/status") } // next;
                next if $status !~ /^Uid:\s+100000\s/m;
                select undef, undef, undef, 0.05;
                return 'of ' . (stat "/proc/$pid/mem")[4];
            }
            select undef, undef, undef, 0.01;
        }
        return 'no child of that user';
    }, @rows, flags => CLONE_NEWPID, parent_death => 'KILL', exec => [ '/bin/sh', '-c', 'exit 7' ]);
    is $end, 'exit 7', 'a program of another user';
    is $found, 'of 0', 'is not that user\'s to trace before it runs';
}

# newuidmap(1), which gains privileges: where it is, and what it gets, is not the caller's to say.
SKIP: {
    skip 'for root, who can put a program in its place', 1 if $> != 0;
    skip 'there is no newuidmap in /usr/bin (Debian: uidmap)', 1 if !-e '/usr/bin/newuidmap';
    my $dir = tempdir(CLEANUP => 1);
    chmod 0777, $dir;
    my $script = sub {
        my ($file, $text) = @_;
        open my $fh, '>', $file or die "$file: $!";
        print {$fh} $text;
        close $fh;
        chmod 0755, $file;
    };
    # where that user can run it
    File::Copy::copy($^X, "$dir/perl") && chmod 0755, "$dir/perl" or die "perl: $!";
    $script->("$dir/real", qq{#!$dir/perl\nopen STDOUT, '>', '$dir/said'; print map({ "\$_=\$ENV{\$_} " } sort keys %ENV), 'fds '; $list\n});
    mkdir "$dir/bin";
    $script->("$dir/$_/newuidmap", "#!/bin/sh\necho planted > $dir/said\n") for '.', 'bin';
    my $program = <<'PERL';
        use Linux::Clone qw(spawn);
        use POSIX ();
        my ($dir) = @ARGV;
        system('mount', '--bind', "$dir/real", '/usr/bin/newuidmap') == 0 or die "mount\n";
        chdir $dir;
        $) = '65534 65534';
        POSIX::setgid(65534); POSIX::setuid(65534);
        %ENV = (PATH => "$dir/bin:$dir:.", map({ $_ => "$dir/x" } qw(LD_PRELOAD LD_LIBRARY_PATH IFS ENV BASH_ENV PERL5OPT PERL5LIB CDPATH SHELLOPTS)));
        open my $secret, '<', '/dev/null' or die;
        spawn(uid_map => [ [ 0, 65534, 1 ], [ 1, 100000, 1 ] ], code => sub { 0 });
        print $Linux::Clone::error;
PERL
    my $said = told(sub { (perl_output($program, $dir))[0] }, flags => CLONE_NEWNS);
    skip "no mount(8): $said", 1 if $said =~ /^mount$/m;
    my $got = eval { slurp("$dir/said") } // "nothing: $said";
    is $got, "LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin fds $inherited", 'newuidmap is that of the system, with nothing of the caller\'s environment or descriptors';
}

done_testing;

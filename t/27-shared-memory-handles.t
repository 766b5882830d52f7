# VM|VFORK: what the child does to a handle of its parent's is undone; what it opens is not there;
# nothing that it writes gets into a file of the parent's. fork is the measure.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest;
use File::Temp;
use IO::Handle;
use POSIX qw(SIGCHLD);
use Socket;
no warnings 'exec';

my $shared = Linux::Clone::VM | Linux::Clone::VFORK;
my $null = '/dev/null';
sub shared { my ($code, $flags) = @_; return status($code, $shared | ($flags // 0)) }
sub scratch { return File::Temp->new(TEMPLATE => 'clone-XXXXXX', TMPDIR => 1) }

my %ends = (
    return => [ sub { 0 }, 'exit 0' ],
    exit   => [ sub { exit 3 }, 'exit 3' ],
    _exit  => [ sub { POSIX::_exit(4) }, 'exit 4' ],
    exec   => [ sub { exec '/bin/true' }, 'exit 0' ],
    kill   => [ sub { kill KILL => $$; sleep 9 }, 'signal 9' ],
);
my $before = descriptors();

# ---- a handle that gets the slot and the number of the parent's ----

for my $end (sort keys %ends) {
    my ($code, $expected) = @{ $ends{$end} };
    my $file = scratch();
    my $kept;
    for my $keep (0, 1) {
        socketpair my $client, my $peer, AF_UNIX, SOCK_STREAM, 0 or die $!;
        my $fd = fileno $client;
        is shared(sub {
            close $client or return 90;
            open my $log, '>', "$file" or return 91;
            return 92 if fileno $log != $fd;
            print {$log} "internal\n";
            $kept = $log if $keep;
            return $code->();
        }), $expected, "the parent's number and slot, $end" . ($keep ? ', kept' : '');
        is fileno $client, $fd, 'the handle of the parent is as it was';
        ok -S $client, 'it is a socket';
        if ($keep) {
            ok !defined(eval { fileno $kept }) || fileno $kept == -1, 'the one of the child has no file here';
            ok !do { no warnings; -S $kept }, 'and is no socket';
            ok !do { no warnings; print {$kept} 'internal' and $kept->flush }, 'nor can be printed to';
        }
        ok close $client, 'it can be closed';
        is sysread($peer, my $x, 100), 0, 'and nothing has come';
        undef $kept;
    }
}
is descriptors(), $before, 'no descriptor is left';

# ---- each layer ----

my $texts = 'parent 1 parent 2 ';
my %layers = map { $_ => $_ } qw(:unix :perlio :stdio :crlf :utf8 :encoding(UTF-8) :encoding(UTF-16LE) :unix:perlio:crlf :perlio:utf8);
my %deeds = (
    'prints'    => sub { my ($out) = @_; print {$out} 'child '; return 0 },
    'closes'    => sub { my ($out) = @_; close $out or return 80; return defined fileno $out ? 81 : 0 },
    'reopens'   => sub { my ($out) = @_; open $out, '>', $null or return 82; print {$out} 'child '; return 0 },
    'dups over' => sub { my ($out) = @_; open my $in, '<', $null; open $out, '<&', $in or return 83; return 0 },
    'pops'      => sub { my ($out) = @_; binmode $out, ':pop' or return 84; return 0 },
    'pushes'    => sub { my ($out) = @_; binmode $out, ':encoding(iso-8859-1)' or return 85; print {$out} 'child '; return 0 },
    'raw'       => sub { my ($out) = @_; binmode $out; binmode $out, ':crlf'; return 0 },
    'others'    => sub { my ($out) = @_; close $out; open my $log, '>', $null; open my $more, '<', '/proc/self/status'; print {$log} 'child '; my $line = <$more>; return $line =~ /^Name/ ? 0 : 86 },
);
for my $layer (sort keys %layers) {
    for my $deed (sort keys %deeds) {
        my @wrong;
        for my $end (qw(_exit exec kill)) {
            next if $layer =~ /^:(?:unix|stdio)$/ && $deed eq 'pops';    # then it has none
            my $file = scratch();
            open my $out, ">$layer", "$file" or die "$layer: $!";
            print {$out} 'parent 1 ';
            my @had = PerlIO::get_layers($out);
            my $got = shared(sub {
                my $status = $deeds{$deed}->($out);
                return $status if $status;
                return $ends{$end}[0]->();
            });
            push @wrong, "$end: $got" if $got ne $ends{$end}[1];
            push @wrong, "$end: layers @{[ PerlIO::get_layers($out) ]}" if "@{[ PerlIO::get_layers($out) ]}" ne "@had";
            print {$out} 'parent 2 ' or push @wrong, "print: $!";
            close $out or push @wrong, "close: $!";
            my $text = slurp("$file");
            $text =~ tr/\0//d if $layer =~ /16/;
            # with exec perl writes first what is there
            $text =~ s/child // if $end eq 'exec' && $deed =~ /^(?:prints|pushes)$/;
            $text =~ s/child // if $deed eq 'prints' && $layer =~ /^:unix$/;
            push @wrong, "$end: $text" if $text ne $texts;
        }
        is_deeply \@wrong, [], "an output handle, $layer, that the child $deed";
    }
}
is descriptors(), $before, 'no descriptor is left';

# ---- unread input ----

{
    my %in = (
        'reopens'      => sub { open STDIN, '<', $null or return 70; return 0 },
        'closes'       => sub { close STDIN; return 0 },
        'reads'        => sub { my $line = <STDIN>; return $line eq "2\n" ? 0 : 71 },
        'reads all'    => sub { my @lines = <STDIN>; return "@lines" eq "2\n 3\n 4\n" ? 0 : 72 },
        'reads others' => sub { close STDIN; open STDIN, '<', '/proc/self/status' or return 73; return <STDIN> =~ /^Name/ ? 0 : 74 },
        'flushes'      => sub { STDIN->flush; binmode STDIN; return 0 },
        'pops'         => sub { binmode STDIN, ':pop'; return 0 },
        'nothing'      => sub { return 0 },
    );
    for my $layer (':perlio', ':crlf', ':utf8', ':encoding(UTF-8)') {
        for my $deed (sort keys %in) {
            my @wrong;
            for my $end (qw(return _exit exec kill)) {
                pipe my $read, my $write or die $!;
                print {$write} "1\n2\n3\n4\n";
                close $write;
                open my $saved, '<&', \*STDIN or die $!;
                open STDIN, "<&$layer", $read or die $!;
                close $read;
                binmode STDIN, $layer;
                my $line = <STDIN>;
                my $number = $.;
                my $got = shared(sub { my $status = $in{$deed}->(); return $status if $status; $ends{$end}[0]->() });
                push @wrong, "$end: $got" if $got ne $ends{$end}[1];
                push @wrong, "$end: line $., not $number" if $. != $number;
                my $rest = join '', <STDIN>;
                push @wrong, "$end: $line$rest" if "$line$rest" ne "1\n2\n3\n4\n";
                push @wrong, "$end: number " . fileno STDIN if fileno STDIN != 0;
                binmode STDIN, ':pop' if $layer =~ /crlf|enc/;
                open STDIN, '<&', $saved or die $!;
            }
            is_deeply \@wrong, [], "STDIN, $layer, that the child $deed";
        }
    }
    my ($output) = perl_output(<<'PERL');
        use Linux::Clone;
        open STDIN, '-|', 'printf', '1\n2\n3\n4\n' or die;
        print scalar <STDIN>;
        waitpid Linux::Clone::clone(sub { open STDIN, '<', '/dev/null'; exec 'cat' }, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17), 0;
        print <STDIN>;
PERL
    is $output, "1\n2\n3\n4\n", 'the commonest idiom before exec';
}
is descriptors(), $before, 'no descriptor is left';

# ---- standard output ----

for my $end (sort keys %ends) {
    my ($output) = perl_output(<<'PERL', $end);
        use Linux::Clone; use POSIX ();
        my %ends = (return => sub { 0 }, exit => sub { exit 3 }, _exit => sub { POSIX::_exit(0) }, exec => sub { exec '/bin/true' }, kill => sub { kill KILL => $$; sleep 9 });
        print "parent 1\n";
        waitpid Linux::Clone::clone(sub {
            open STDOUT, '>', '/dev/null' or die; print 'child'; close STDERR; open my $other, '>', '/dev/null'; print $other 'child'; $ends{$ARGV[0]}->();
        }, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17), 0;
        print "parent 2\n";
        waitpid Linux::Clone::clone(sub { open my $file, '>', '/dev/null'; POSIX::dup2(fileno $file, 1); print 'child'; $ends{$ARGV[0]}->() }, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17), 0;
        print STDERR "parent 3\n";
        print fileno STDOUT, fileno STDERR, "\n";
PERL
    is join('', sort split /^/, $output), "12\nparent 1\nparent 2\nparent 3\n", "STDOUT that the child redirects, $end";
}

# ---- handles of other kinds ----

for my $end (sort keys %ends) {
    my ($code, $expected) = @{ $ends{$end} };

    my $string = '';
    open my $memory, '>', \$string or die $!;
    print {$memory} 'parent 1 ';
    is shared(sub { print {$memory} 'child '; close $memory; open my $other, '>', \my $own; print {$other} 'other'; $code->() }), $expected, "a handle to a string, $end";
    ok print({$memory} 'parent 2 '), 'is open';
    close $memory;
    is $string, 'parent 1 child parent 2 ', 'and what the child has printed is in the string, which is a variable';

    my $pid = open my $pipe, '-|', 'sh', '-c', 'echo 1; echo 2; exit 7' or die $!;
    my $line = <$pipe>;
    is shared(sub { close $pipe; open my $log, '>', $null; open my $own, '-|', '/bin/true'; $code->() }), $expected, "a pipe of open that the child closes, $end";
    is readline $pipe, "2\n", 'can be read';
    ok !close $pipe, 'is one whose program the parent waits for';
    is $?, 7 << 8, 'and gets the status of';

    opendir my $dir, '/proc/self' or die $!;
    my @names = grep { !/^\.\.?$/ } readdir $dir;
    rewinddir $dir;
    my @some = map { scalar readdir $dir } 1 .. 5;
    is shared(sub { readdir $dir for 1 .. 3; rewinddir $dir; readdir $dir; closedir $dir; opendir my $own, '/'; readdir $own; $code->() }), $expected, "a directory handle that the child reads, and closes, $end";
    my @rest = readdir $dir;
    is join(' ', grep { !/^\.\.?$/ } @some, @rest), "@names", 'is where it was';
    ok closedir $dir, 'and open';
    opendir $dir, '/proc/self' or die $!;
    shared(sub { closedir $dir; opendir $dir, '/' or return 9; $code->() });
    is join(' ', grep { !/^\.\.?$/ } readdir $dir), "@names", 'one that the child has reopened';
    for my $way ('/', '/no/such') {
        opendir $dir, '/proc/self' or die $!;
        my $first = readdir $dir;
        shared(sub { opendir $dir, $way; $code->() });
        is join(' ', grep { !/^\.\.?$/ } $first, readdir $dir), "@names", "the same, without closing it, by $way";
        ok closedir $dir, 'and it can be closed';
    }
    opendir $dir, '/proc/self' or die $!;

    for my $layer (qw(:unix :stdio)) {
        my $popped = scratch();
        open my $out, ">$layer", "$popped" or die $!;
        is shared(sub { binmode $out, ':pop'; $code->() }), $expected, "$layer, popped by the child, $end";
        ok print({$out} "b\n") && close($out), 'is there in the parent';
        is slurp("$popped"), "b\n", 'and writes';
    }

    my $number = descriptors();
    pipe my $read, my $write or die $!;
    is shared(sub { undef $write; $code->() }), $expected, "a handle that the child destroys, $end";
    is sysread($read, my $byte, 1), 0, 'is closed here';
    close $read;
    is descriptors(), $number, 'and its descriptor gone';
    is shared(sub { undef $dir; $code->() }), $expected, 'a directory handle that the child destroys';
    is descriptors(), $number - 1, 'is closed';

    # log rotation
    my ($first, $second) = (scratch(), scratch());
    open our $log, '>>', "$first" or die $!;
    $log->autoflush(1);
    print {$log} "parent 1\n";
    is shared(sub { open $log, '>>', "$second" or return 9; $log->autoflush(0); print {$log} "child\n"; $code->() }), $expected, "log rotation in the child, $end";
    print {$log} "parent 2\n";
    is slurp("$first"), "parent 1\nparent 2\n", 'the log of the parent is as it was';
    ok slurp("$second") =~ /^(?:child\n)?\z/, 'the other has only what the child wrote';
    close $log;

    open FH, '<', '/proc/self/status' or die $!;
    close FH;
    is shared(sub { open FH, '<', $null or return 9; pipe my $r, my $w; socketpair my $a, my $b, AF_UNIX, SOCK_STREAM, 0; sysopen my $s, $null, 0; $code->() }), $expected, "a closed handle that the child opens, $end";
    ok !defined fileno FH, 'is closed';

    open my $data, '<', $0 or die $!;
    my $first_line = <$data>;
    my $got = $data->getline;
    is shared(sub { $data->getline; <$data>; my ($x) = $data->getline; $code->() }), $expected, "lines that the child reads, $end";
    is $., 2, 'do not count here';
    is $data->input_line_number, 2, "in the handle's own count neither";
    open my $other, '<', $0 or die $!;
    is shared(sub { <$other>; $. = 7; $code->() }), $expected, "the child reads from another handle, $end";
    is $., 2, '$. is of the one that was read last here';
}
is descriptors(), $before, 'no descriptor is left';

# ---- handles of a child of a child, of a copy of one ----

for my $copy (0, 1) {
    my $file = scratch();
    open my $out, '>', "$file" or die $!;
    print {$out} 'parent 1 ';
    pipe my $read, my $write or die $!;
    print {$write} "1\n2\n";
    close $write;
    my $one = <$read>;
    is shared(sub {
        print {$out} 'host ';
        close $read;
        open my $other, '<', $null;
        my $end = status(sub { print {$out} 'guest '; close $out; open my $more, '>', $null; close $other; POSIX::_exit(5) }, $copy ? 0 : $shared);
        return 80 if $end ne 'exit 5';
        return 81 if !defined fileno $other || !defined fileno $out;
        print {$out} 'host again ';
        return 6;
    }), 'exit 6', 'a child of a child, ' . ($copy ? 'a copy' : 'in the same memory');
    is readline $read, "2\n", 'the input of the parent is there';
    print {$out} 'parent 2 ';
    close $out;
    like slurp("$file"), qr/^parent 1 host (?:guest )?host again parent 2 $/, 'and its output in order';
}

# ---- FILES ----

{
    my $files = Linux::Clone::FILES;
    for my $end (sort keys %ends) {
        my ($code, $expected) = @{ $ends{$end} };
        pipe my $read, my $write or die $!;
        my $log = scratch();
        is shared(sub { close $write; Linux::Clone::unshare($files) == 0 or return 9; close $read; open my $other, '>', "$log"; print {$other} 'child'; $code->() }, $files), $expected, "FILES, and unshare, $end";
        ok defined fileno $read, 'what the child closes after it is open';
        ok !defined fileno $write, 'what it closes before is closed';
        is sysread($read, my $byte, 1), 0, 'for all';
    }
}
is descriptors(), $before, 'no descriptor is left';

# ---- what perl has for all handles ----

{
    my $file = scratch();
    for my $end (sort keys %ends) {
        my ($code, $expected) = @{ $ends{$end} };
        stat '/proc/self/status' or die $!;
        my $size = (stat _)[1];
        is shared(sub { select STDERR; $| = 1; stat '/'; lstat '/'; $code->() }), $expected, "select and stat in the child, $end";
        is select, 'main::STDOUT', 'the default output is as it was';
        is((stat _)[1], $size, 'and what _ stands for');
        ok -f _, 'and what -X _ says';
        is shared(sub { open my $own, '>', $null; select $own; $code->() }), $expected, "a handle of its own, selected, $end";
        is select, 'main::STDOUT', 'the default output is as it was';
        STDERR->autoflush(0);
        shared(sub { STDERR->autoflush(1); STDOUT->autoflush(1); $code->() });
        my $old = select STDERR;
        is $|, 0, '$| is of its handle';
        select $old;
    }
    my ($output) = perl_output(<<'PERL');
        use Linux::Clone; use POSIX ();
        $ENV{TZ} = 'UTC0'; POSIX::tzset();
        for my $end (sub { 0 }, sub { exec '/bin/true' }, sub { POSIX::_exit(0) }) {
            waitpid Linux::Clone::clone(sub { local $ENV{TZ} = 'XYZ-5'; POSIX::tzset(); my @t = localtime 0; $end->() }, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17), 0;
            print join(' ', (POSIX::tzname())[0], (localtime 0)[2], POSIX::mktime(0, 0, 0, 1, 0, 70) + 0), "\n";
        }
PERL
    is $output, "UTC 0 0\n" x 3, 'the time zone';
}

# ---- what the C library keeps ----

{
    my %databases = (passwd => 'getpwent', group => 'getgrent', services => 'getservent', protocols => 'getprotoent');
    for my $name (sort keys %databases) {
        next if !-s "/etc/$name";
        my ($output) = perl_output(<<'PERL', $databases{$name}, my $file = scratch());
            use Linux::Clone; use POSIX ();
            my ($function, $file) = @ARGV;
            my $next = eval "sub { join ' ', ($function)[0, 2] }";
            my $end = eval 'sub { ' . ($function =~ s/get/end/r) . ' }';
            my %ends = (return => sub { 0 }, exec => sub { exec '/bin/true' }, _exit => sub { POSIX::_exit(0) }, kill => sub { kill KILL => $$; sleep 9 });
            my @all = ($next->(), $next->(), $next->());
            $end->();
            for my $how (sort keys %ends) {
                my $child = sub { my ($x, $y) = ($next->(), $next->()); return $ends{$how}->() };
                my @fds = glob '/proc/self/fd/*';
                waitpid Linux::Clone::clone($child, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17), 0;
                my @after = glob '/proc/self/fd/*';
                print "$how: @after, not @fds\n" if @after != @fds;
                open my $fh, '+>', $file or die; syswrite $fh, "evil:x:0:0::/:/bin/sh\n" x 1000; sysseek $fh, 0, 0;
                my @got = ($next->(), $next->(), $next->());
                print "$how: @got, not @all\n" if "@got" ne "@all";
                print "$how: read\n" if sysseek($fh, 0, 1) != 0;
                # one that the parent goes through
                waitpid Linux::Clone::clone($child, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17), 0;
                print "$how: again\n" if join(' ', $next->(), $next->()) =~ /\Q$all[0]\E|evil/;
                $end->();
            }
            print "done\n";
PERL
        is $output, "done\n", "$name, which a child goes through";
    }
}
SKIP: {
    my $flags = namespace_flags(Linux::Clone::NEWNS);
    needs($flags, 4);
    my $mount = nr('mount') // skip 'a system call number that is not known here', 4;
    require Sys::Syslog;
    for my $end (qw(return exec _exit kill)) {
        my ($output) = perl_output(<<'PERL', $mount, $flags, $end, my $file = scratch());
            use Linux::Clone; use POSIX (); use Socket; use Sys::Syslog qw(:standard :macros setlogsock);
            my ($mount, $flags, $end, $file) = @ARGV;
            my %ends = (return => sub { 0 }, exec => sub { exec '/bin/true' }, _exit => sub { POSIX::_exit(0) }, kill => sub { kill KILL => $$; sleep 9 });
            my $dir = $file =~ s{/[^/]*$}{}r;
            my ($uid, $gid, $refused) = ($> + 0, $) + 0, Linux::Clone::unshare($flags + 0));
            for ($flags & Linux::Clone::NEWUSER && !$refused ? ([ setgroups => 'deny' ], [ uid_map => "0 $uid 1" ], [ gid_map => "0 $gid 1" ]) : ()) {
                open my $map, '>', "/proc/self/$_->[0]" or die "$_->[0]: $!";
                syswrite $map, $_->[1];
            }
            if ($refused || syscall($mount, my $what = 'none', my $where = '/dev', my $type = 'tmpfs', 0, 0)) { print "skip $!"; exit }
            my $log;
            # a number above all that come
            { socket my $s, AF_UNIX, SOCK_DGRAM, 0 or die; bind $s, pack_sockaddr_un('/dev/log') or die $!; open $log, '<&=', POSIX::dup2(fileno $s, 50) }
            setlogsock('native'); openlog('app', 'pid', 'user');
            waitpid Linux::Clone::clone(sub { syslog('info', 'of the child'); $ends{$end}->() }, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17), 0;
            open my $data, '>', $file or die;
            syswrite $data, "data 1\n";
            syslog('info', 'of the parent');
            syswrite $data, "data 2\n";
            fcntl $log, 4, 2048;
            while (defined recv $log, my $line, 1000, 0) { print +($line =~ /(app\[\d+\]: .*)/)[0] // $line, "\n" }
PERL
        skip "this kernel, or a filter: $1", 4 if $output =~ /^skip (.*)/;
        like $output, qr/^app\[\d+\]: of the child\napp\[\d+\]: of the parent\n\z/, "syslog in the child, $end";
        is slurp("$file"), "data 1\ndata 2\n", 'and no line of it in a file';
    }
}

# ---- what belongs to the memory ----

SKIP: {
    my $prctl = nr('prctl') // skip 'a system call number that is not known here', 1;
    my @ways = ([ 'says so', sub { syscall $prctl, 4, 0, 0, 0, 0 } ]);
    push @ways, [ 'changes its ids', sub { POSIX::setgid(65534); POSIX::setuid(65534); syscall($prctl, 3, 0, 0, 0, 0) == 1 and POSIX::_exit(9) } ] if $> == 0;
    for my $way (@ways) {
        my ($how, $code) = @$way;
        my @got = map { my $end = $ends{$_}; my $got = shared(sub { $code->(); $end->[0]->() }); $got eq $end->[1] ? syscall $prctl, 3, 0, 0, 0, 0 : $got } sort keys %ends;
        is "@got", '1 1 1 1 1', "a child that $how leaves its parent the owner of its /proc/self";
    }
    my ($output) = perl_output(<<'PERL', $prctl);
        use Linux::Clone; use POSIX ();
        waitpid Linux::Clone::clone(sub { syscall $ARGV[0], 4, 0, 0, 0, 0; POSIX::_exit(0) }, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17), 0;
        my $child = Linux::Clone::spawn(code => sub { 7 }, uid_map => 'root') or die "$Linux::Clone::error\n";
        $child->wait;
        print $? >> 8, "\n";
PERL
    like $output, qr/^(?:7\n|(?!.*EACCES|.*Permission).*)$/, 'which can map ids';
    ($output) = perl_output(<<'PERL', $prctl);
        use Linux::Clone; use POSIX ();
        syscall $ARGV[0], 4, 0, 0, 0, 0;
        waitpid Linux::Clone::clone(sub { POSIX::_exit(0) }, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17), 0;
        print syscall($ARGV[0], 3, 0, 0, 0, 0) + 0, "\n";
PERL
    is $output, "0\n", 'who has closed its own before keeps it so';
}

# ---- while the parent leaves the child's frames ----

# What a read has on the savestack while a signal is looked at is in the handle's layers.
{
    # what is freed does not look as before
    local $ENV{MALLOC_PERTURB_} = 85;
    local $ENV{GLIBC_TUNABLES} = 'glibc.malloc.tcache_count=0';
    my ($output) = perl_output(<<'PERL');
        use Linux::Clone; use Time::HiRes (); $| = 1;
        for my $layer (':unix', ':perlio', ':stdio', ':crlf', ':encoding(UTF-8)') {
            pipe my $read, my $write or die;
            binmode $read, $layer;
            for my $child (sub { <$read> }, sub { pipe my $own, my $tell; binmode $own, $layer; <$own> }) {
                waitpid Linux::Clone::clone(sub { Time::HiRes::ualarm(50_000); $child->() for 1 .. 100 }, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17), 0;
                print "$? ";
            }
            binmode $read, ':crlf';
            binmode $read, ':pop';
            syswrite $write, "line\n";
            print ucfirst <$read>;
        }
PERL
    is $output, "14 14 Line\n" x 5, 'a child that dies of a signal in a read';
}

{
    my ($output) = perl_output(<<'PERL');
        use Linux::Clone; use POSIX (); $| = 1;
        package Opens { sub DESTROY { open $main::kept, '<', '/proc/self/status' or die } }
        package Strict { sub TIEHASH { bless {} } sub EXISTS { 1 } sub FETCH { 1 } sub STORE { die "store\n" if $main::strict } }
        tie my %tied, 'Strict';
        our $strict = 0;
        my $opens = sub { local $tied{x} = 2; $strict = 1; { my $object = bless [], 'Opens'; POSIX::_exit(0) } };
        waitpid Linux::Clone::clone($opens, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17), 0;
        $strict = 0;
        print <$main::kept> =~ /^Name:/ ? "is there\n" : "is lost\n";
PERL
    is $output, "store\nis there\n", 'what a destructor opens before something throws is the parent\'s';
}

# ---- an unwinding that gets nowhere ----

{
    my ($output, $status) = perl_output(<<'PERL');
        use Linux::Clone; use POSIX (); $| = 1;
        package Strict { sub TIEHASH { bless {} } sub EXISTS { 1 } sub FETCH { 1 } sub STORE { die "store\n" if $main::strict } }
        tie my %tied, 'Strict';
        our $strict = 0;
        my $pid = Linux::Clone::clone(sub { local $tied{$_} = 2 for 1; local @tied{1 .. 50} = (2) x 50; $strict = 1; POSIX::_exit(0) }, 0, Linux::Clone::VM | Linux::Clone::VFORK | 17);
        $strict = 0;
        print "goes on\n";
PERL
    is $output, ("store\n" x 50) . "goes on\n", 'fifty that throw, one after the other: the parent goes on';
}

done_testing;

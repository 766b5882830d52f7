# spawn: options, programs, the object; what it leaves alone. Namespaces are in 38-spawn-namespaces.t.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Config;
use Test::More;
use CloneTest qw(kernel_refuses kernel_since slurp status_field fd_field mappings stacks descriptors children namespace_flags needs perl_output arm);
use Fcntl qw(F_GETFD F_SETFD FD_CLOEXEC);
use File::Temp ();
use IO::Handle ();
use POSIX qw(:errno_h SIGCHLD SIGUSR1 SIGUSR2 SIGTERM SIGKILL SIG_BLOCK SIG_SETMASK WNOHANG);
use SpawnTest;
use Time::HiRes ();

my $dir = File::Temp->newdir;
my $shell = '/bin/sh';

{
    my $child = spawn(code => sub { 0 });
    if (!$child) {
        # kernels before 5.4, and filters
        plan skip_all => "the kernel refuses: errno @{[ $! + 0 ]}: $Linux::Clone::error" if $!{ENOSYS};
        BAIL_OUT($Linux::Clone::error);
    }
    $child->wait;
}

sub script {
    my ($name, $text, $mode) = @_;
    my ($path) = "$dir/$name" =~ m{^(.*)/};
    mkdir $path if !-d $path;
    open my $fh, '>', "$dir/$name" or die "$dir/$name: $!";
    print {$fh} $text;
    close $fh or die $!;
    chmod $mode // 0755, "$dir/$name" or die $!;
    return "$dir/$name";
}

my $perl = $^X;
my @perl = ($perl, '-e');
# as Test::More leaves it open for diag
my $state = sub { return join ' ', stacks(), descriptors(), children() };
my $at_start = $state->();

# ---- options that make no sense: a croak, before anything is created ----

{
    my @sub = (code => sub { 0 });
    my @program = (exec => ['true']);
    my ($clone_vm, $new_ns) = (Linux::Clone::VM, Linux::Clone::NEWNS);
    my @bad = (
        [ ['code'], 'an odd number of arguments: options are names and values' ],
        (map { [ [ 'Linux::Clone', @$_ ], 'it is a function, not a method: call Linux::Clone::spawn' ] } [], \@sub, ['code']),
        [ [ @sub, 'flags' ], 'an odd number of arguments: options are names and values' ],
        [ [ @sub, flag => 1 ], 'there is no option "flag"' ],
        [ [ @sub, '', 1 ],      'there is no option ""' ],
        [ [ @sub, 'x' x 1000, 1 ], 'there is no option "' . 'x' x 60 . '"...' ],
        [ [ @sub, undef, 1 ],   'the name of an option must be a string, not undef' ],
        [ [ {}, 1 ],            'the name of an option must be a string, not a reference to a HASH' ],
        [ [ @sub, 'Code', undef ], 'there is no option "Code"' ],
        [ [], 'it needs code or exec' ],
        [ [ code => undef, exec => undef ], 'it needs code or exec' ],
        [ [ @sub, @program ], 'code and exec exclude each other' ],
        (map { [ [ @sub, @$_ ], "$_->[0] is for exec, not for code" ] } [ cwd => '/' ], [ env => {} ], [ stdin => 0 ], [ stdout => 1 ], [ stderr => 2 ]),
        [ [ @sub, cwd => '/', env => {}, cwd => undef ], 'env is for exec, not for code' ],
        [ [ code => 5 ], qr/code must be a CODE reference or the name of a defined sub, not / ],
        [ [ code => 'no_such' ], qr/code must be a CODE reference or the name of a defined sub, not / ],
        (map { [ [ exec => $_ ], qr/exec must be a reference to an array of a program and its arguments, not / ] } 'true', {}, \1, sub { }),
        (map { [ [ @program, exit_signal => $_ ], 'exit_signal is for code: the kernel makes that of a program SIGCHLD' ] } 0, 'USR1', 64),
        [ [ exec => [] ], 'exec is empty: it needs a program' ],
        [ [ exec => [undef] ], 'element 0 of exec is undef' ],
        [ [ exec => [ 'true', 1, undef ] ], 'element 2 of exec is undef' ],
        [ [ exec => [ 'true', "a\0b" ] ], qr/exec has a NUL: / ],
        [ [ exec => ["a\0b"] ], qr/exec has a NUL: / ],
        (map { [ [ @program, $_ => "/\0" ], qr/$_ has a NUL: / ] } qw(cwd root hostname)),
        (map { [ [ @program, env => $_ ], qr/env must be a reference to a hash, not / ] } 'A=1', [ 'A=1' ], \1),
        (map { [ [ @program, env => { $_ => 1 } ], qr/env has a wrong name: / ] } '', 'A=', '=A'),
        [ [ @program, env => { A => undef } ], qr/env has a value that is no string: that of .*A/ ],
        [ [ @program, env => { A => "\0" } ], qr/env has a NUL: in / ],
        [ [ @program, env => { "\0A" => '' } ], qr/env has a NUL: in / ],
        (map { my $map = $_; map { [ [ @sub, $map => $_ ], qr/$map must be 'root', 'self' or a reference to an array of rows \[inside, outside, count\], not / ] } '', 'rooted', 0, {}, [], [0], [ [0] ], [ [ 0, 0, 1, 1 ] ], \'root' } qw(uid_map gid_map)),
        (map { my $map = $_; map { [ [ @sub, $map => [$_] ], qr/$map has a row that is empty, or ends above all ids: \[/ ] } [ 0, 0, 0 ], [ 1, 4294967295, 1 ], [ 4294967295, 0, 2 ], [ 0, 1, 4294967295 ] } qw(uid_map gid_map)),
        [ [ @sub, uid_map => [ [ 0, 'x', 1 ] ] ], qr/uid_map must be an integer, not / ],
        [ [ @sub, uid_map => [ [ 0, -1, 1 ] ] ], qr/uid_map is out of range: -1/ ],
        [ [ @sub, uid_map => [ [ 0, 1.5, 1 ] ] ], qr/uid_map must be an integer, not / ],
        [ [ @sub, time_offsets => 5 ], qr/time_offsets must be a reference to a hash, not / ],
        [ [ @sub, time_offsets => { realtime => 5 } ], 'time_offsets knows monotonic and boottime, not "realtime"' ],
        (map { [ [ @sub, time_offsets => { boottime => $_ } ], qr/time_offsets must have seconds for boottime, not / ] } undef, 'x', [], 9**9**9, -9**9**9, 1e15 + 0.5, 2**64),
        [ [ @sub, hostname => 'h' x 65 ], 'hostname has 65 bytes, but 64 are the most' ],
        [ [ @sub, hostname => "\x{20ac}" x 22 ], 'hostname has 66 bytes, but 64 are the most' ],
        [ [ @sub, flags => SIGCHLD ], 'flags has an exit signal: that is the option exit_signal' ],
        [ [ @sub, flags => $new_ns | SIGKILL ], 'flags has an exit signal: that is the option exit_signal' ],
        [ [ @sub, flags => 1 << 41 ], 'flags has unknown bits: 0x20000000000' ],
        (map { [ [ @sub, flags => Linux::Clone->can($_)->() | $new_ns ], "flags may not have $_" ] }
            qw(VM FS FILES SIGHAND VFORK PARENT THREAD PIDFD SETTLS PARENT_SETTID CHILD_SETTID CHILD_CLEARTID INTO_CGROUP)),
        [ [ @sub, flags => $clone_vm | Linux::Clone::VFORK | SIGCHLD ], 'flags may not have VM|VFORK' ],
        (map { [ [ @sub, flags => $_ ], qr/flags must be an integer, not / ] } 'x', 1.5, []),
        (map { my $name = $_; map { [ [ @sub, $name => $_ ], qr/$name must be the number or the name of a signal, not / ] } 'NO', '', [], 1.5 } qw(exit_signal parent_death)),
        (map { my $name = $_; map { [ [ @sub, $name => $_ ], qr/$name is out of range: / ] } -1, 65, 1 << 40 } qw(exit_signal parent_death)),
        [ [ @sub, parent_death => 0 ], 'parent_death is out of range: 0' ],
        [ [ @sub, stack_size => -1 ], 'stack_size is negative: -1' ],
        [ [ @sub, stack_size => 'x' ], qr/stack_size must be an integer, not / ],
        (map { [ [ @sub, cgroup => $_ ], qr/cgroup must be a handle or the number of a descriptor, not / ] } 'x', {}, 1.5),
        [ [ @sub, cgroup => 1 << 40 ], qr/cgroup is out of range: / ],
        (map { [ [ @program, $_ => 'x y' ], qr/$_ must be a handle or the number of a descriptor, not / ] } qw(stdin stdout stderr)),
        (map { [ [ @sub, set_tid => $_ ], qr/set_tid must be a reference to an array of thread ids, not / ] } 5, {}, ['x'], [1.5], [ 1 << 40 ]),
    );
    my $before = join ' ', $state->(), scalar mappings();
    my @wrong;
    $Linux::Clone::error = 'as it was';
    for (@bad) {
        my ($options, $message) = @$_;
        $message = qr/\Q$message\E/ if !ref $message;
        my $returned = eval { spawn(@$options); 1 };
        push @wrong, [ "@{[ map { $_ // 'undef' } @$options ]}", $@ ] if $returned || $@ !~ /^Linux::Clone::spawn: $message.* at \Q$0\E line \d+\.\n\z/ && $@ !~ /^Linux::Clone::spawn: $message at \Q$0\E line \d+\.\n\z/;
    }
    is join("\n", map { "@$_" } @wrong), "", scalar(@bad) . ' bad calls: each croaks, with what is wrong with which option, and where';
    is join(' ', $state->(), scalar mappings()), $before, 'there is no child, no descriptor, no mapping more';
    is $Linux::Clone::error, 'as it was', '$Linux::Clone::error is for what the kernel refuses';
    is wait, -1, 'nobody to wait for';
    is prototype('Linux::Clone::spawn'), undef, 'it takes a list';
    {
        package Dies;
        sub TIESCALAR { return bless [] }
        sub FETCH { die "tied\n" }
        use overload;
    }
    tie my $dies, 'Dies';
    for my $name (qw(code exec flags stack_size exit_signal cgroup vfork set_tid uid_map gid_map time_offsets hostname loopback mount_proc root parent_death cwd env stdin stdout stderr)) {
        eval { spawn(exec => ['true'], $name => $dies) };
        is $@, "tied\n", "an exception while $name is read";
    }
    eval { spawn($dies, 1) };
    is $@, "tied\n", 'or a name';
    eval { spawn(exec => [ 'true', $dies ]) };
    is $@, "tied\n", 'or an argument';
    eval { spawn(exec => ['true'], env => { A => $dies }) };
    is $@, "tied\n", 'or a value of env';
    eval { spawn(@sub, uid_map => [ [ 0, $dies, 1 ] ]) };
    is $@, "tied\n", 'or a number of a row';
    is join(' ', $state->(), scalar mappings()), $before, 'nothing is left';
}

# ---- options that are as not given ----

{
    my %all = map { $_ => undef } qw(flags stack_size exit_signal cgroup vfork set_tid uid_map gid_map time_offsets hostname loopback mount_proc root parent_death cwd env stdin stdout stderr);
    is end(%all, exec => undef, code => sub { 5 }), 'exit 5', 'undef is as not given, with code';
    is end(%all, code => undef, exec => [ @perl, 'exit 6' ]), 'exit 6', 'and with exec';
    is end(code => sub { 1 }, code => sub { 7 }), 'exit 7', 'of two the last one counts';
    is end(exec => ['false'], exec => undef, code => sub { 8 }), 'exit 8', 'undef too';
    is end(code => sub { 9 }, loopback => 0, mount_proc => '', set_tid => []), 'exit 9', 'false';
    is end(code => sub { 9 }, vfork => $_), 'exit 9', "vfork => $_, which code does not mind" for 0, 1;
    my %own = map { $_ => readlink "/proc/self/ns/$_" } qw(user uts net mnt pid time);
    is told(sub { join ' ', grep { $own{$_} ne readlink "/proc/self/ns/$_" } sort keys %own }, %all), '', 'no new namespaces';
}

# ---- code ----

is end(code => sub { 77 }), 'exit 77', 'a value';
is end(code => sub { }), 'exit 0', 'none';
is end(code => sub { exit 6 }), 'exit 6', 'exit';
is end(code => sub { POSIX::_exit(5) }), 'exit 5', '_exit';
is end(code => sub { kill KILL => $$; sleep 9 }), 'signal 9', 'SIGKILL';
is end(code => sub { POSIX::dup2(POSIX::open('/dev/null', POSIX::O_WRONLY()), 2); $! = 7; die "x\n" }), 'exit 7', 'die';
is end(code => sub { exec @perl, 'exit 8' }), 'exit 8', 'exec';
is end(code => 'main::named'), 'exit 10', 'a name';
sub named { return 10 }
is told(sub { $_[0] // 'nothing' }), 'nothing', 'it gets no arguments';
is told(sub { getppid }), $$, 'it is the child of the caller';
is told(sub { descriptors() - 1 }), descriptors(), 'it has no descriptor of spawn\'s';
like told(sub { status_field('SigBlk') }), qr/^0+\z/, 'no signal is blocked';
{
    local $! = 5;
    is end(code => sub { $! + 0 }), 'exit 5', '$! is the caller\'s';
    my ($out, $status) = perl_output(<<'PERL');
        use Linux::Clone qw(spawn); my $main = $$;
        END { print "END ", $$ == $main ? 'parent' : 'child', "\n"; $? = 3 if $$ != $main }
        sub DESTROY { print "DESTROY ", $$ == $main ? 'parent' : 'child', "\n" }
        our $object = bless [];
        print "once\n";
        my $child = spawn(code => sub { print "code\n"; exit 4 }) or die; $child->wait; print $? >> 8, "\n";
        $child = spawn(code => sub { print "code\n"; 5 }) or die; $child->wait; print $? >> 8, "\n";
        $child = spawn(exec => [$^X, '-e', 'print "program\n"']) or die; $child->wait;
        print "last";
PERL
    is $out, "once\ncode\nEND child\nDESTROY child\n3\ncode\n5\nprogram\nlastEND parent\nDESTROY parent\n", 'output is written once, END blocks and destructors run where the code exits';
}
is told(sub { my $child = spawn(code => sub { 4 }) or die $Linux::Clone::error; $child->wait; $? >> 8 }), 4, 'spawn in its code';
is told(sub { my $child = spawn(exec => [ @perl, 'exit 5' ]) or die $Linux::Clone::error; $child->wait; $? >> 8 }), 5, 'of a program';
for my $what ([ code => sub { 4 } ], [ exec => [ @perl, 'exit 4' ] ]) {
    my $pid = Linux::Clone::clone(sub {
        my $child = spawn(@$what) or return 1;
        $child->running;
        $child->wait == $child->pid or return 2;
        return $? == 4 << 8 ? 40 : 3;
    }, 0, Linux::Clone::VM | Linux::Clone::VFORK | SIGCHLD);
    waitpid $pid, 0;
    is $? >> 8, 40, "spawn of $what->[0] in a child that shares memory";
    my $failed = Linux::Clone::clone(sub { defined spawn(exec => ["$dir/no"]) ? 1 : $!{ENOENT} ? 41 : 2 }, 0, Linux::Clone::VM | Linux::Clone::VFORK | SIGCHLD);
    waitpid $failed, 0;
    is $? >> 8, 41, 'that fails there';
}

# ---- exec: the program and its arguments ----

my $arguments = script('arguments', qq{#!$perl\nprint map { sprintf "%vx;", \$_ } \@ARGV\n});
sub hex_of { return join '', map { sprintf '%vx;', $_ } @_ }
{
    my @odd = ('', ' ', "a b", "\n", '$HOME', '*', "\\", "'", '"', '-', '--', join('', map { chr } 1 .. 255), 'x' x 100_000);
    is output(exec => [ $arguments, @odd ]), hex_of(@odd), 'arguments with odd bytes arrive as they are: there is no shell';
    is output(exec => [$arguments]), '', 'none';
    is output(exec => [ $arguments, 1, 2.5, -3 ]), hex_of(1, 2.5, -3), 'numbers';
    my @wide = ("\x{20ac}", "\x{e9}\x{100}");
    my @utf8 = map { my $octets = $_; utf8::encode($octets); $octets } @wide;
    is output(exec => [ $arguments, @wide ]), hex_of(@utf8), 'characters arrive in UTF-8';
    my $upgraded = "\x{e9}";
    utf8::upgrade($upgraded);
    is output(exec => [ $arguments, $upgraded, "\x{e9}" ]), do { open my $fh, '-|', $arguments, $upgraded, "\x{e9}" or die; local $/; <$fh> }, 'as perl itself passes them';
    is output(exec => [ $arguments, map { "$_" } 1 .. 5000 ]), hex_of(1 .. 5000), 'many';
    like end(exec => [ $arguments, ('x' x 100_000) x 100 ]), qr/^errno @{[E2BIG]}: Linux::Clone::spawn: exec \Q$arguments\E: /, 'too long';
    my $name = script("\xe2\x82\xac odd\n", "#!$shell\nexit 5\n");
    is end(exec => [$name]), 'exit 5', 'an odd name';
    is end(exec => [ "$dir/\x{20ac} odd\n" ]), 'exit 5', 'in characters';
    is_deeply [ map { end(exec => [$_]) } "$dir/no", '' ], [ "errno 2: Linux::Clone::spawn: exec $dir/no: No such file or directory", 'errno 2: Linux::Clone::spawn: exec : No such file or directory' ], 'no such program';
    is end(exec => [$dir]), "errno 13: Linux::Clone::spawn: exec $dir: Permission denied", 'a directory';
    is end(exec => ["$arguments/x"]), "errno 20: Linux::Clone::spawn: exec $arguments/x: Not a directory" =~ s{20}{ENOTDIR}er, 'no directory';
    is end(exec => ['/etc/passwd']), 'errno 13: Linux::Clone::spawn: exec /etc/passwd: Permission denied', 'no program';
    # whose name has no spaces, as that of the directory may
    my $line = script('interpreter', "#!/no/such\n");
    is end(exec => [$line]), "errno 2: Linux::Clone::spawn: exec $line: No such file or directory (its interpreter \"/no/such\" is missing)", 'no interpreter';
    is end(exec => [ script('empty', '') ]), 'exit 0', 'an empty file is a script of sh';
    is output(exec => [ script('plain', qq{echo "\$0|\$#|\$1|\$2"\n}), 'a b', '$x' ]), "$dir/plain|2|a b|\$x\n", 'a file without #! is run by sh';
    is output(exec => ["$dir/plain"]), "$dir/plain|0||\n", 'without arguments';
}
{
    # PATH
    script("$_/tool", "#!$shell\necho $_\n") for qw(a b);
    script('denied/tool', "#!$shell\necho denied\n", 0644);
    mkdir "$dir/directory";
    mkdir "$dir/directory/tool";
    script('noexec/tool', "echo \$0\n");
    mkdir "$dir/nothing";
    is output(exec => ['tool'], env => { PATH => "$dir/nothing:$dir/a:$dir/b" }), "a\n", 'PATH of env: the first that there is';
    is output(exec => ['tool'], env => { PATH => "$dir/b:$dir/a" }), "b\n", 'in its order';
    is output(exec => ['tool'], env => { PATH => "$dir/denied:$dir/a" }), "a\n", 'one that may not be executed is passed over';
    is output(exec => ['tool'], env => { PATH => "$dir/directory:$dir/b" }), "b\n", 'a directory too';
    is output(exec => ['tool'], env => { PATH => "$dir/plain:$dir/b" }), "b\n", 'and what is no directory';
    is output(exec => ['tool'], env => { PATH => "$dir/noexec:$dir/b" }), "$dir/noexec/tool\n", 'a script without #! is run by sh';
    is output(exec => ['tool'], env => { PATH => "$dir/denied:$dir/nothing" }), 'errno 13: Linux::Clone::spawn: exec tool: Permission denied', 'EACCES if nothing else is found';
    is output(exec => ['tool'], env => { PATH => "$dir/" . 'x/' x 3000 . ":$dir/b" }), "b\n", 'one longer than PATH_MAX is passed over';
    is output(exec => ['tool'], env => { PATH => "$dir/" . 'x/' x 3000 }), 'errno 2: Linux::Clone::spawn: exec tool: No such file or directory', 'if it is the only one, too';
    # what execvp(3) does at the limit
    for my $length (4090 .. 4097) {
        my $path = '/' x ($length - length "$dir/nothing") . "$dir/nothing";
        my ($execvp) = perl_output('$ENV{PATH} = shift; no warnings; exec { "tool" } "tool"; print $! + 0', "$path:$dir/b");
        chomp $execvp;
        my $spawned = output(exec => ['tool'], env => { PATH => "$path:$dir/b" }) =~ s/^errno (\d+):.*/$1/sr =~ s/\n//r;
        is $spawned, $execvp, "an element of $length bytes: as by execvp";
    }
    is output(exec => ['tool'], env => { PATH => "$dir/nothing" }), 'errno 2: Linux::Clone::spawn: exec tool: No such file or directory', 'ENOENT';
    is output(exec => ['tool'], env => { PATH => 'a' }, cwd => $dir), "a\n", 'a relative one is below cwd';
    is output(exec => ['tool'], env => { PATH => "$dir/nothing:" }, cwd => "$dir/b"), "b\n", 'an empty one is cwd';
    is output(exec => ['tool'], env => { PATH => '' }, cwd => "$dir/a"), "a\n", 'so is an empty PATH';
    is output(exec => ['./tool'], env => { PATH => "$dir/b" }, cwd => "$dir/a"), "a\n", 'a name with a slash is a path, below cwd';
    is output(exec => ['tool'], env => {}, cwd => "$dir/a"), 'errno 2: Linux::Clone::spawn: exec tool: No such file or directory', 'no PATH: not cwd';
    is output(exec => [ 'sh', '-c', 'echo found' ], env => {}), "found\n", 'but the usual directories';
    {
        local $ENV{PATH} = "$dir/b";
        is output(exec => ['tool']), "b\n", 'the PATH of the caller';
        is output(exec => ['tool'], env => { PATH => "$dir/a" }), "a\n", 'not if env has one';
        is output(exec => ['tool'], env => { B => 1 }), 'errno 2: Linux::Clone::spawn: exec tool: No such file or directory', 'nor if env has none';
        delete $ENV{PATH};
        is output(exec => [ 'sh', '-c', 'echo found' ]), "found\n", 'a caller without PATH';
    }
}

# ---- env, cwd ----

{
    my $environment = script('environment', qq{#!$shell\ncat /proc/self/environ\n});
    my $seen = sub { return join ',', map { s/\n/\\n/gr } sort grep { !/^(?:PWD|SHLVL|OLDPWD|_)=/ } split /\0/, output(exec => ['/bin/cat', '/proc/self/environ'], @_) };
    my $cat = sub { return [ sort split /\0/, output(exec => [ '/bin/cat', '/proc/self/environ' ], @_) ] };
    is_deeply $cat->(env => {}), [], 'an empty environment is empty';
    is_deeply $cat->(env => { A => 1, B => '', 'C D' => "x=y\n" }), [ 'A=1', 'B=', "C D=x=y\n" ], 'just what env has';
    is_deeply $cat->(env => { "\x{20ac}" => "\x{20ac}", E => "\x{e9}" }), [ "E=\xe9", "\xe2\x82\xac=\xe2\x82\xac" ], 'characters, and bytes';
    local %ENV = (PATH => $ENV{PATH}, ONE => 1);
    is_deeply $cat->(), [ 'ONE=1', "PATH=$ENV{PATH}" ], 'without env the caller\'s';
    local $ENV{TWO} = "\x{e9}";
    is_deeply $cat->(), [ 'ONE=1', "PATH=$ENV{PATH}", "TWO=\xe9" ], 'as it is now';
    my %tied;
    is_deeply $cat->(env => { %ENV, THREE => 3 }), [ 'ONE=1', "PATH=$ENV{PATH}", 'THREE=3', "TWO=\xe9" ], '%ENV and one more';
    is_deeply $cat->(env => \%ENV), [ 'ONE=1', "PATH=$ENV{PATH}", "TWO=\xe9" ], 'itself';

    my $pwd = sub { return output(exec => [ @perl, 'require Cwd; print Cwd::getcwd()' ], @_) };
    require Cwd;
    my $real = Cwd::realpath("$dir");
    my $here = Cwd::getcwd();
    is $pwd->(cwd => '/'), '/', 'cwd';
    is $pwd->(cwd => "$dir"), $real, 'a directory';
    is $pwd->(), $here, 'not given: the caller\'s';
    chdir $dir or die $!;
    mkdir "$dir/\xe2\x82\xac";
    is $pwd->(cwd => "\x{20ac}"), "$real/\xe2\x82\xac", 'relative, in characters';
    chdir $here or die $!;
    is Cwd::getcwd(), $here, 'the caller stays where it is';
    is $pwd->(cwd => "$dir/no"), "errno 2: Linux::Clone::spawn: cwd $dir/no: No such file or directory", 'no such directory';
    is $pwd->(cwd => $arguments), "errno 20: Linux::Clone::spawn: cwd $arguments: Not a directory" =~ s{20}{ENOTDIR}er, 'no directory';
    is $pwd->(cwd => ''), 'errno 2: Linux::Clone::spawn: cwd : No such file or directory', 'an empty name';
}

# ---- stdin, stdout, stderr ----

{
    # What each descriptor of a program is: the name of a file.
    my @files = map { script("file$_", "$_") } 0 .. 2;
    my $which = script('which', qq{#!$perl\nopen my \$out, '>', \$ARGV[0] or die; print {\$out} join ' ', map { (readlink("/proc/self/fd/\$_") // 'closed') =~ s{.*/}{}r } 0 .. 2; opendir my \$d, '/proc/self/fd'; my \@more = grep { /^\\d+\$/ && \$_ > 2 && (readlink "/proc/self/fd/\$_") !~ m{^/proc/|/which\$|/which_out\$} } readdir \$d; print {\$out} " and \@more" if \@more; exit 7});
    # nor is anything else open there, but for what the caller of this test has left open
    system $which, "$dir/which_out";
    my ($others) = slurp("$dir/which_out") =~ / and (.*)/;
    my %inherited = map { $_ => 1 } split ' ', $others // '';
    my $seen = sub {
        my $end = end(exec => [ $which, "$dir/which_out" ], @_);
        return $end if $end ne 'exit 7';
        my ($streams, $more) = split / and /, slurp("$dir/which_out");
        my @more = grep { !$inherited{$_} } split ' ', $more // '';
        return @more ? "$streams and @more" : $streams;
    };
    my @handles = map { open my $fh, '+<', $_ or die "$_: $!"; $fh } @files;
    my @names = qw(stdin stdout stderr);
    my @own = map { (readlink "/proc/self/fd/$_") =~ s{.*/}{}r } 0 .. 2;
    is $seen->(), "@own", 'not given: the caller\'s';
    my @wrong;
    for my $choice (map { my $n = $_; [ map { int($n / 4**$_) % 4 } 0 .. 2 ] } 0 .. 63) {
        # 3 is not given
        my @expected = map { $choice->[$_] == 3 ? $own[$_] : "file$choice->[$_]" } 0 .. 2;
        my $got = $seen->(map { $choice->[$_] == 3 ? () : ($names[$_] => $handles[ $choice->[$_] ]) } 0 .. 2);
        push @wrong, [ "@$choice", $got ] if $got ne "@expected";
    }
    is_deeply \@wrong, [], 'three handles in all 64 ways, the same one twice or thrice; none is left open beside 0, 1 and 2';
    # 0, 1 and 2 swapped, by those numbers: in a process whose own they are
    my $swapped = told(sub {
        POSIX::dup2(fileno $handles[$_], $_) for 0 .. 2;
        my @wrong;
        for my $choice (map { my $n = $_; [ map { int($n / 4**$_) % 4 } 0 .. 2 ] } 0 .. 63) {
            my @expected = map { 'file' . ($choice->[$_] == 3 ? $_ : $choice->[$_]) } 0 .. 2;
            my $got = $seen->(map { $choice->[$_] == 3 ? () : ($names[$_] => $choice->[$_]) } 0 .. 2);
            push @wrong, "@$choice: $got" if $got ne "@expected";
        }
        join "\n", @wrong;
    });
    is $swapped, '', '0, 1 and 2 themselves in all 64 ways';
    {
        my $high = POSIX::dup2(fileno $handles[0], 250) // die $!;
        is $seen->(stdin => 250, stdout => 250), "file0 file0 $own[2] and 250", 'a high number; one that is inherited stays';
        fcntl $handles[1], F_SETFD, 0 or die $!;
        is $seen->(stdout => $handles[1]), "$own[0] file1 $own[2] and " . fileno($handles[1]) . ' 250', 'a handle that is not close-on-exec';
        fcntl $handles[1], F_SETFD, FD_CLOEXEC or die $!;
        POSIX::close(250);
        my @fds = map { fileno $_ } @handles;
        is $seen->(stdin => $fds[2], stderr => "$fds[0]"), "file2 $own[1] file0", 'by number';
        is $seen->(stdin => *{ $handles[1] }), "file1 $own[1] $own[2]", 'a glob';
        my $object = IO::Handle->new_from_fd($fds[2], '<');
        is $seen->(stdin => $object), "file2 $own[1] $own[2]", 'an IO::Handle';
        ok fcntl($handles[0], F_GETFD, 0) & FD_CLOEXEC, 'the caller\'s stay close-on-exec';
    }
    my $closed = do { open my $fh, '<', $files[0] or die; close $fh; $fh };
    open my $memory, '<', \'text' or die;
    for my $name (@names) {
        for my $handle ($closed, $memory) {
            is $seen->($name => $handle), 'errno ' . EBADF . ": Linux::Clone::spawn: $name: Bad file descriptor (the handle is closed, or in memory)", "$name: a handle without a descriptor";
        }
        is $seen->($name => 999), 'errno ' . EBADF . ": Linux::Clone::spawn: $name: Bad file descriptor (the handle is closed, or in memory)", 'a number that is not open';
        is $seen->($name => -1), 'errno ' . EBADF . ": Linux::Clone::spawn: $name: Bad file descriptor (the handle is closed, or in memory)", '-1';
    }
    # no number becomes one of spawn's own descriptors
    my @free = grep { !-e "/proc/self/fd/$_" } 3 .. 20;
    is_deeply [ map { $seen->(stdin => $_, time_offsets => { monotonic => 5 }) =~ /^errno @{[EBADF]}:/ ? 'refused' : $_ } @free ], [ ('refused') x @free ], 'numbers that are free';
    is end(code => sub { 0 }, cgroup => $closed), 'errno ' . EBADF . ': Linux::Clone::spawn: cgroup: Bad file descriptor (the handle is closed, or in memory)', 'cgroup too';
    # a caller that has closed some of its own
    for my $maps ([], [ uid_map => 'self', gid_map => 'self' ]) {
        SKIP: {
            needs(Linux::Clone::NEWUSER, 8) if @$maps;
            my @wrong;
            for my $close (map { my $n = $_; [ grep { $n & 1 << $_ } 0 .. 2 ] } 1 .. 7) {
                my $got = told(sub {
                    POSIX::dup2(fileno $handles[$_], $_) for 0 .. 2;
                    # each time, since perl leaves what it opens in their place
                    my $close_them = sub { POSIX::close($_) for @$close };
                    my @wrong;
                    my $is = sub { push @wrong, "@_" if $_[0] ne $_[1] };
                    $close_them->();
                    $is->($seen->(@$maps, map { $names[$_] => $handles[$_] } 0 .. 2), 'file0 file1 file2');
                    $close_them->();
                    $is->($seen->(@$maps, map { $names[$_] => $handles[ 2 - $_ ] } 0 .. 2), 'file2 file1 file0');
                    for my $n (0 .. 2) {
                        $close_them->();
                        my $got = end(@$maps, exec => ["$dir/no"], $names[$n] => $handles[$n]);
                        $is->($got, "errno 2: Linux::Clone::spawn: exec $dir/no: No such file or directory");
                    }
                    join "\n", @wrong;
                });
                push @wrong, "closed @$close: $got" if $got ne '';
            }
            is_deeply \@wrong, [], 'a caller that has closed 0, 1 or 2' . (@$maps ? ', with maps' : '');
        }
    }
    my ($text, $status) = perl_output(q{
        use warnings; use Linux::Clone qw(spawn); close STDOUT; close STDIN;
        $SIG{__WARN__} = sub { print STDERR "warning: @_" };
        my @children = map { spawn(code => sub { 0 }) or die $Linux::Clone::error } 1 .. 3; $_->wait for @children; print STDERR "done\n" });
    is $text, "done\n", 'a caller without standard handles gets no warning';
    pipe my $read, my $write or die $!;
    my $child = spawn(exec => [ @perl, '$| = 1; print STDERR "err "; print "out"' ], stdout => $write, stderr => $write) or die $Linux::Clone::error;
    close $write;
    is do { local $/; <$read> }, 'err out', 'both into one pipe';
    $child->wait;
    pipe $read, $write or die $!;
    $child = spawn(exec => ['cat'], stdin => $read, stdout => $handles[0]) or die $Linux::Clone::error;
    close $read;
    print {$write} 'through cat';
    close $write;
    $child->wait;
    is slurp($files[0]), 'through cat', 'into a program';
    {
        open my $buffered, '>', "$dir/buffered" or die $!;
        print {$buffered} 'first ';
        end(exec => [ 'sh', '-c', 'echo second' ], stdout => $buffered);
        close $buffered;
        is slurp("$dir/buffered"), "first second\n", 'what the caller has printed comes first, and once';
    }
}

# ---- how it starts ----

{
    my @got;
    local $SIG{USR1} = sub { push @got, 'USR1' };
    local $SIG{CHLD} = sub { push @got, 'CHLD' };
    for (['USR1', 'USR1'], [ SIGUSR1, 'USR1' ], [ 'SIGUSR1', 'USR1' ], [ 0, '' ], [ 'ZERO', '' ], [ undef, 'CHLD' ], [ 'CHLD', 'CHLD' ], [ SIGCHLD, 'CHLD' ]) {
        my ($signal, $expected) = @$_;
        @got = ();
        is end(code => sub { 3 }, exit_signal => $signal), 'exit 3', 'exit signal ' . ($signal // 'undef');
        is "@got", $expected, 'arrives';
        next if $expected ne 'CHLD';
        @got = ();
        is end(exec => [ @perl, 'exit 3' ], exit_signal => $signal), 'exit 3', 'that of a program';
        is "@got", $expected, 'arrives';
    }
    is end(code => sub { 4 }, exit_signal => 0, flags => Linux::Clone::CLEAR_SIGHAND), 'exit 4', 'by clone3 too' if $Config{archname} !~ /^i.86/;
}
for my $size (1, 300_000, 1 << 20, 16 << 20) {
    my $least = $size < 256 << 10 ? 256 << 10 : $size;
    is told(sub {
        no warnings 'portable';
        my ($guard, $stack);
        for (mappings()) {
            my ($from, $to, $access) = /^(\w+)-(\w+) (\S+)/;
            $stack //= hex($to) - hex($from) if defined $guard && $guard eq $from && $access eq 'rw-p' && hex($to) - hex($from) >= $least && hex($to) - hex($from) < $least + 65536;
            $guard = $access eq '---p' ? $to : undef;
        }
        defined $stack ? 'so' : 'not';
    }, stack_size => $size), 'so', "a stack of $size bytes";
    is end(exec => [ @perl, 'exit 5' ], stack_size => $size), 'exit 5', 'for a program';
}
like end(code => sub { 0 }, stack_size => 1 << 60), qr/^errno @{[ENOMEM]}: Linux::Clone::spawn: /, 'more than there is';
like end(exec => ['true'], stack_size => 1 << 60), qr/^errno @{[ENOMEM]}: Linux::Clone::spawn: /, 'for a program';
SKIP: {
    my $taken = $> == 0 ? EEXIST : EPERM;
    for my $what ([ code => sub { 0 } ], [ exec => ['true'] ]) {
        my $end = end(@$what, set_tid => [$$]);
        skip "the kernel refuses clone3: $end", 6 if $end =~ /^errno @{[ENOSYS]}/;
        like $end, qr/^errno $taken: Linux::Clone::spawn: clone: /, "$what->[0], set_tid: a process that there is, or no right to say so";
        like $end, qr/\(.*CAP_CHECKPOINT_RESTORE/, 'the message names the capability' if $> != 0;
        like end(@$what, set_tid => [ (5) x 40 ]), qr/^errno @{[EINVAL]}: Linux::Clone::spawn: clone: /, 'too many';
    }
    skip 'choosing a process id needs a privilege', 2 if $> != 0;
    # two in a row; the kernel gives these last
    my ($max) = slurp('/proc/sys/kernel/pid_max') =~ /(\d+)/;
    my ($free) = grep { !-e "/proc/$_" && !-e '/proc/' . ($_ + 1) } map { $max - 2 - $_ } 0 .. 1000;
    my $child = spawn(code => sub { $$ == $free ? 5 : 6 }, set_tid => [$free]) or die $Linux::Clone::error;
    is $child->pid, $free, 'set_tid';
    $child->wait;
    is $? >> 8, 5, 'in the child too';
    is output(exec => [ @perl, 'print $$' ], set_tid => [ $free + 1 ]), $free + 1, 'of a program';
}
SKIP: {
    my ($root) = map { /^\S+ (\S+) cgroup2 / ? $1 : () } split /\n/, slurp('/proc/self/mounts');
    skip 'no cgroup2 file system is mounted', 3 if !$root;
    # process ids are the same in two PID namespaces
    my ($name) = "linux-clone-spawn-$dir" =~ s{/.*/}{}r;
    my $group = "$root/$name";
    mkdir $group or skip kernel_refuses('a control group'), 3;
    opendir my $handle, $group or die "$group: $!";
    like told(sub { slurp('/proc/self/cgroup') }, cgroup => $handle), qr/$name/, 'cgroup: code starts in it';
    like output(exec => [ 'cat', '/proc/self/cgroup' ], cgroup => $handle), qr/$name/, 'a program too';
    like output(exec => [ 'cat', '/proc/self/cgroup' ], cgroup => POSIX::open($group, POSIX::O_RDONLY())), qr/$name/, 'by number';
    unlike slurp('/proc/self/cgroup'), qr/linux-clone-spawn/, 'not the caller';
    SKIP: {
        # a child that is frozen from its first instruction on makes spawn wait
        skip 'this kernel cannot freeze control groups', 6 if !-e "$group/cgroup.freeze";
        my $freeze = sub { open my $fh, '>', "$group/cgroup.freeze" or die $!; print {$fh} $_[0]; close $fh or die $! };
        $freeze->(1);
        local $SIG{ALRM} = sub { die "alarm\n" };
        my $before = $state->();
        my $ended = eval { Time::HiRes::alarm(0.1); spawn(code => sub { 5 }, cgroup => $handle); 1 } ? 'returned' : $@;
        is $ended, "alarm\n", 'a handler that dies while spawn waits';
        is $state->(), $before, 'the child is gone, and all else';
        $SIG{ALRM} = sub { $freeze->(0) };
        Time::HiRes::alarm(0.1);
        is end(code => sub { 5 }, cgroup => $handle), 'exit 5', 'a handler that returns: spawn goes on';
        $freeze->(1);
        Time::HiRes::alarm(0.1);
        is end(exec => [ @perl, 'exit 5' ], cgroup => $handle, flags => Linux::Clone::NEWTIME), 'exit 5', 'for a program too';
        $freeze->(1);
        Time::HiRes::alarm(0.1);
        is end(exec => [ @perl, 'exit 5' ], cgroup => $handle, vfork => 0), 'exit 5', 'and with vfork => 0 for any program';
        $freeze->(1);
        my $reaper = fork // die "fork: $!";
        if (!$reaper) {
            select undef, undef, undef, 0.1;
            kill KILL => split ' ', slurp("$group/cgroup.procs");
            POSIX::_exit(0);
        }
        like end(code => sub { 5 }, cgroup => $handle), qr/^errno @{[ESRCH]}: Linux::Clone::spawn: the child was killed before its code ran: /, 'somebody kills the child meanwhile';
        waitpid $reaper, 0;
        $freeze->(0);
        arm();
    }
    closedir $handle;
    POSIX::close($_) for grep { (readlink("/proc/self/fd/$_") // '') eq $group } 3 .. 30;
    rmdir $group or diag "$group: $!";
}
{
    open my $null, '<', '/dev/null' or die $!;
    for my $what ([ code => sub { 0 } ], [ exec => ['true'] ]) {
        my $end = end(@$what, cgroup => $null);
        SKIP: {
            skip "the kernel refuses clone3: $end", 1 if $end =~ /^errno @{[ENOSYS]}/;
            like $end, qr/^errno @{[EBADF]}: Linux::Clone::spawn: clone: .*cgroup/, "$what->[0]: a handle that is no control group";
        }
    }
}

# ---- signals ----

{
    my $status = script('status', qq{#!$shell\ngrep -E "^Sig(Blk|Ign|Cgt)" /proc/\$\$/status\n});
    my $of = sub { return join ' ', map { my $name = $_; map { "$name:" . ($_ =~ /^$name:\s+(\w+)/m)[0] } $_[0] } qw(SigBlk SigIgn) };
    # perl itself has more to say: what a program gets of fork and exec is the measure
    my $forked = sub { open my $fh, '-|', 'grep', '-E', '^Sig', '/proc/self/status' or die $!; local $/; my $text = <$fh>; close $fh; return $of->($text) };
    my $spawned = sub { return $of->(output(exec => [ 'grep', '-E', '^Sig', '/proc/self/status' ])) };
    is $spawned->(), $forked->(), 'a program is born with the signals that fork and exec give it';
    local $SIG{USR1} = sub { };
    local $SIG{USR2} = 'IGNORE';
    local $SIG{INT} = 'IGNORE';
    is $spawned->(), $forked->(), 'ignored ones stay ignored, handlers are gone';
    my $set = POSIX::SigSet->new(SIGUSR1, SIGTERM);
    my $old = POSIX::SigSet->new;
    POSIX::sigprocmask(SIG_BLOCK, $set, $old);
    is $spawned->(), $forked->(), 'blocked ones stay blocked';
    my $blocked = status_field('SigBlk');
    is told(sub { status_field('SigBlk') }), $blocked, 'with code too';
    is status_field('SigBlk'), $blocked, 'and in the caller';
    spawn(exec => ["$dir/no"]);
    is status_field('SigBlk'), $blocked, 'after a failure too';
    POSIX::sigprocmask(SIG_SETMASK, $old);
    my $ran = 0;
    $SIG{USR1} = sub { $ran++ };
    is end(exec => [ 'sh', '-c', 'kill -USR1 $$; sleep 9' ]), 'signal ' . SIGUSR1, 'the default is the program\'s';
    is told(sub { kill USR1 => $$; $ran }), 1, 'code has the caller\'s handlers';
    is $ran, 0, 'and runs them there';
}
{
    # a storm on the caller
    my ($parent, $seen) = ($$, 0);
    local $SIG{USR1} = sub { $seen++ };
    my $storm = fork // die "fork: $!";
    if (!$storm) {
        $SIG{TERM} = 'DEFAULT';
        for (1 .. 3000) { kill USR1 => $parent; select undef, undef, undef, 0.00001 }
        POSIX::_exit(0);
    }
    my ($started, @wrong, @not_running) = (0);
    while (waitpid($storm, WNOHANG) == 0) {
        for my $what ([ code => sub { 17 } ], [ exec => [ 'sh', '-c', 'exit 17' ] ], [ code => sub { 17 }, flags => Linux::Clone::NEWUSER, uid_map => 'root' ]) {
            my $end = end(@$what);
            push @wrong, $end if $end ne 'exit 17' && $end !~ /^errno .*: clone: /;
            my $child = spawn(code => sub { select undef, undef, undef, 9 }) or die $Linux::Clone::error;
            push @not_running, $started if grep { !$child->running } 1 .. 20;
            $child->kill('KILL');
            $child->wait;
            $started++;
        }
    }
    is_deeply \@wrong, [], "under a storm of signals each child does its work ($started children)";
    is_deeply \@not_running, [], 'and is running until it ends';
    cmp_ok $seen, '>', 0, 'while the handler runs';
}

# ---- what it leaves alone ----

for my $what ([ code => sub { 3 } ], [ exec => [ @perl, 'exit 3' ] ]) {
    my $object = bless ['exception'], 'Exception';
    ($!, $?) = (17, 513);
    $@ = $object;
    my $child = spawn(@$what);
    is_deeply [ $! + 0, $?, ref $@ ], [ 17, 513, 'Exception' ], "$what->[0]: \$!, \$? and \$\@ are as they were";
    $child->running;
    $child->pid;
    $child->pidfd;
    $child->kill(0);
    $child->kill_on_destroy('KILL');
    is_deeply [ $! + 0, $?, ref $@ ], [ 17, 513, 'Exception' ], 'methods leave them too';
    undef $child;
    is_deeply [ $! + 0, $?, ref $@ ], [ 17, 513, 'Exception' ], 'and a destructor that kills';
    $? = 513;
    my @returned = spawn(exec => ["$dir/no"]);
    is_deeply [ scalar(@returned), $returned[0], $! + 0, $?, ref $@ ], [ 1, undef, ENOENT, 513, 'Exception' ], 'a failure returns one undef, and sets $! alone';
    is children(), 0, 'there is no child';
}
{
    my ($out, $status) = perl_output(q{
        use Linux::Clone qw(spawn);
        $SIG{__DIE__} = sub { print "DIE @_" }; $SIG{__WARN__} = sub { print "WARN @_" };
        $! = 5; $@ = 'x'; local $_ = 'topic'; local $/ = 'sep'; local $, = ','; local $\ = '!';
        my $child = spawn(code => sub { 4 });
        { local ($,, $\\); print join ' ', $! + 0, $@, $_, $/, "\n"; }
        $child->wait; print $? >> 8;
    });
    is $out, "5 x topic sep \n4!", 'the first call, which loads the class, leaves all that alone';
}

# ---- no copy of a large process ----

{
    # A copy makes the caller's pages read-only, so that writing to each is a fault (getrusage(2));
    # memory that is lent is not touched.
    my $page = POSIX::sysconf(POSIX::_SC_PAGESIZE());
    my $large = 'x' x (128 << 20);
    my $faults = sub { return (split ' ', slurp('/proc/self/stat') =~ s/.*\) //sr)[7] };
    my $write = sub { for (my $i = 0; $i < length $large; $i += $page) { substr($large, $i, 1) = 'y' } };
    my $after = sub {
        my ($start) = @_;
        $write->();
        $start->();
        my $before = $faults->();
        $write->();
        return $faults->() - $before;
    };
    my $none = $after->(sub { });
    my $copy = $after->(sub { my $child = spawn(code => sub { 0 }) or die; $child->wait });
    my $program = $after->(sub { my $child = spawn(exec => ['true']) or die $Linux::Clone::error; $child->wait });
    cmp_ok $copy, '>', $none + 30, "code is a copy: writing to 128 MB takes $copy faults, before it took $none";
    cmp_ok $program, '<', $none + ($copy - $none) / 4, "a program is not: $program faults";
    my $asked = $after->(sub { my $child = spawn(exec => ['true'], vfork => 0) or die $Linux::Clone::error; $child->wait });
    cmp_ok $asked, '>', $none + 30, "unless the caller says vfork => 0: $asked faults";
    my $default = $after->(sub { my $child = spawn(exec => ['true'], vfork => 1) or die $Linux::Clone::error; $child->wait });
    cmp_ok $default, '<', $none + ($copy - $none) / 4, "vfork => 1 is the default: $default faults";
    SKIP: {
        skip 'the kernel refuses NEWTIME', 1 if end(code => sub { 0 }, flags => namespace_flags(Linux::Clone::NEWTIME)) ne 'exit 0';
        my $time = $after->(sub { my $child = spawn(exec => ['true'], flags => namespace_flags(Linux::Clone::NEWTIME)) or die $Linux::Clone::error; $child->wait });
        cmp_ok $time, '>', $none + 30, "unless it must be, as for a time namespace: $time faults";
    }
    SKIP: {
        skip 'root writes its maps itself', 1 if $> == 0;
        needs(Linux::Clone::NEWUSER | Linux::Clone::NEWUTS, 1);
        my $mapped = $after->(sub { my $child = spawn(exec => ['true'], uid_map => 'root', gid_map => 'root', hostname => 'x') or die $Linux::Clone::error; $child->wait });
        cmp_ok $mapped, '<', $none + ($copy - $none) / 4, "the own id alone needs no copy: $mapped faults";
    }
}

# ---- the object ----

# under valgrind no signal ends it, since that knows no pidfd_send_signal
my $asleep = $CloneTest::beyond_valgrind ? 2 : 60;
sub sleeper { return spawn(code => sub { $SIG{TERM} = 'DEFAULT'; sleep $asleep; 0 }, @_) // die $Linux::Clone::error }
{
    my $child = spawn(code => sub { 3 }) or die $Linux::Clone::error;
    isa_ok $child, 'Linux::Clone::Child';
    can_ok $child, qw(pid pidfd wait kill running kill_on_destroy);
    cmp_ok $child->pid, '>', 1, 'pid';
    like readlink('/proc/self/fd/' . fileno $child->pidfd), qr/pidfd/, 'pidfd is a handle of it';
    is fd_field(fileno $child->pidfd, 'Pid'), $child->pid, 'of this child';
    ok fcntl($child->pidfd, F_GETFD, 0) & FD_CLOEXEC, 'close-on-exec';
    is_deeply [ $child->wait, $?, $child->wait, $? ], [ $child->pid, 3 << 8, $child->pid, 3 << 8 ], 'wait, twice';
    $? = 0;
    $child->wait;
    is $?, 3 << 8, '$? each time';
    is $child->running, '', 'running, after that';
    is $child->kill('TERM'), 0, 'kill';
    is $! + 0, ESRCH, 'ESRCH';
    ok !eval { $child->kill('NOSUCH'); 1 }, 'kill with no such signal';
    like $@, qr/^Linux::Clone::Child::kill: \$signal must be the number or the name of a signal, not the string "NOSUCH" at \Q$0\E line \d+\.$/, 'croaks, where it was called';
}
{
    my $child = sleeper();
    is $child->running, 1, 'running';
    is $child->kill(0), 1, 'kill 0';
    is $child->kill('TERM'), 1, 'kill by name';
    is $child->wait, $child->pid, 'wait';
    is $?, SIGTERM, 'the signal in $?';
    $child = sleeper();
    is $child->kill(SIGKILL), 1, 'kill by number';
    my $ready = '';
    vec($ready, fileno $child->pidfd, 1) = 1;
    is select($ready, undef, undef, 20), 1, 'the pidfd gets ready for select';
    is $child->running, '', 'not running, not waited for';
    is children(), 1, '(a zombie)';
    is $child->kill('TERM'), 1, 'it can be signalled as any zombie';
    is $child->wait, $child->pid, 'wait';
    is $?, SIGKILL, 'the status is its own';
    is children(), 0, '(none)';
    $child = sleeper();
    is $child->kill(64), 1, 'a real-time signal';
    $child->wait;
    is $?, 64, 'ends it';
    $child = sleeper();
    is $child->kill(999), 0, 'no signal';
    is $! + 0, EINVAL, 'EINVAL';
    $child->kill('KILL');
    $child->wait;
    SKIP: {
        my $core = spawn(code => sub { chdir '/proc'; kill SEGV => $$; sleep 9 }) or die $Linux::Clone::error;
        $core->wait;
        is $? & 127, POSIX::SIGSEGV(), 'a signal that dumps core';
        my $pid = fork // die;
        if (!$pid) { chdir '/proc'; kill SEGV => $$; sleep 9 }
        my $status = $?;
        waitpid $pid, 0;
        is $status, $?, 'as waitpid says it';
    }
    # stopped is running
    $child = sleeper();
    $child->kill('STOP');
    select undef, undef, undef, 0.05;
    is $child->running, 1, 'a stopped one is running';
    $child->kill('KILL');
    $child->wait;
    # a large number
    my $limit = `sh -c 'ulimit -n'`;
    SKIP: {
        skip "no more than $limit descriptors", 1 if $limit ne "unlimited\n" && $limit < 1200;
        my @fill = map { POSIX::dup(0) } 1 .. 1100;
        $child = sleeper();
        cmp_ok fileno $child->pidfd, '>', 1024, 'a descriptor above those of select(2)';
        is $child->running, 1, 'running';
        $child->kill('KILL');
        $child->wait;
        $child = spawn(code => sub { 0 }) or die;
        select undef, undef, undef, 0.01 while $child->running;
        is $child->running, '', 'and not';
        $child->wait;
        POSIX::close($_) for @fill;
    }
}
{
    # somebody else waits: a kernel from 6.15 on knows the status
    my $remembers = sub {
        my ($child, $expected, $what) = @_;
        ($!, $?) = (0, 5);
        my $got = $child->wait;
        if ($got == -1) {
            is $! + 0, ECHILD, "$what: -1, ECHILD";
            is $?, -1, '$?';
            is $child->wait, -1, 'again';
            ok !kernel_since('6.15'), 'a kernel that forgets';
        }
        else {
            is $got, $child->pid, "$what: the process id";
            is $?, $expected, '$?';
            is $child->wait, $child->pid, 'again';
            is $?, $expected, '$?';
        }
        is $child->running, '', 'it is not running';
        is $child->kill('TERM'), 0, 'and gets no signals';
        is $! + 0, ESRCH, 'ESRCH';
    };
    my $child = spawn(code => sub { 7 }) or die;
    is waitpid($child->pid, 0), $child->pid, 'waitpid';
    $remembers->($child, 7 << 8, 'waited for by its number');
    $child = sleeper();
    $child->kill('KILL');
    is wait, $child->pid, 'wait';
    $remembers->($child, 9, 'a killed one, by perl\'s wait');
    {
        local $SIG{CHLD} = 'IGNORE';
        $child = spawn(code => sub { 8 }) or die;
        my $program = spawn(exec => [ @perl, 'exit 9' ]) or die $Linux::Clone::error;
        $remembers->($child, 8 << 8, 'SIGCHLD ignored');
        $remembers->($program, 9 << 8, 'a program');
        is end(exec => ["$dir/no"]), "errno 2: Linux::Clone::spawn: exec $dir/no: No such file or directory", 'a failure, too';
    }
    {
        my %reaped;
        local $SIG{CHLD} = sub { local ($!, $?); while ((my $pid = waitpid -1, WNOHANG) > 0) { $reaped{$pid} = $? } };
        $child = spawn(code => sub { select undef, undef, undef, 0.05; 10 }) or die;
        my $got = $child->wait;
        ok $got == $child->pid && $? == 10 << 8 || $got == -1, 'a handler that reaps while wait sleeps';
        for my $options ([ exec => ["$dir/no"] ], [ exec => ["$dir/no"], flags => namespace_flags(Linux::Clone::NEWTIME) ]) {
            like end(@$options), qr/^errno 2: .*exec/, 'or while spawn fails';
        }
        for (1 .. 50) {
            my $program = spawn(exec => ['true']) or die $Linux::Clone::error;
            $program->wait;
        }
    }
    is children(), 0, 'no zombie is left';
}
{
    # a handler that dies
    local $SIG{ALRM} = sub { die "alarm\n" };
    my $child = sleeper();
    my $left = eval { alarm 1; $child->wait; 1 } ? '' : $@;
    alarm 0;
    is $left, "alarm\n", 'a handler that dies ends wait';
    {
        # a kernel that forgets: what a handler's wait has heard is not lost
        no warnings 'redefine';
        local *Linux::Clone::Child::_status_of = sub { return };
        my $child = spawn(exec => [ 'sh', '-c', 'sleep 0.3; exit 3' ]) or die $Linux::Clone::error;
        local $SIG{ALRM} = sub { $child->wait };
        Time::HiRes::ualarm(100_000);
        $child->wait;
        arm();
        is $child->wait . " $?", $child->pid . ' 768', 'a handler that waits for the same child';
    }
    is $child->running, 1, 'the child runs on';
    $child->kill('KILL');
    is $child->wait, $child->pid, 'and can be waited for';
    arm();
}
# Spawn itself waits until its child is ready. One that is stopped before that makes it wait: somebody
# looks for new children and stops them. How often a handler has died there, how many children there
# are, and whether all is as before.
sub dying_handler {
    spawn(code => sub { 0 })->wait;    # so that a stack is kept
    my $before = $state->();
    my $parent = $$;
    my $spawning = 0;
    local $SIG{USR1} = sub { die "handled\n" if $spawning };
    my $start = time;
    my ($died, $rounds) = (0, 0);
    while (!$died && time - $start < 40) {
        $rounds++;
        my $hunter = fork // die "fork: $!";
        if (!$hunter) {
            alarm 10;
            my %known = map { $_ => 1 } $$, ProcessTest::process_ids();
            while (1) {
                for my $pid (grep { !$known{$_} } ProcessTest::process_ids()) {
                    my (undef, $its) = ProcessTest::process_stat($pid) or next;
                    next if $its != $parent || !kill STOP => $pid;
                    select undef, undef, undef, 0.02;
                    # one that was ready is gone by now
                    next if ((ProcessTest::process_stat($pid))[0] // '') !~ /[Tt]/;
                    kill USR1 => $parent;
                    POSIX::_exit(0);
                }
            }
        }
        while (waitpid($hunter, WNOHANG) == 0) {
            my $child;
            $spawning = 1;
            eval { $child = spawn(code => sub { 0 }); 1 } or $died++;
            $spawning = 0;
            next if !$child;
            kill KILL => $child->pid;
            $child->wait;
        }
    }
    note "$rounds rounds";
    return join ' ', $died, children(), $state->() eq $before ? 'as before' : 'more than before';
}
is dying_handler(), '1 0 as before', 'a handler that dies while spawn waits ends spawn, and the child is gone';

# Leaves the process without pidfd_send_signal, as a filter of a container may that is older than
# that (seccomp(2)). Says why not, if the kernel takes none.
sub refuse_pidfd_signals {
    my $prctl = { x86_64 => 157, aarch64 => 167 }->{ $Config{archname} =~ s/-.*//r };
    return "this test does not know the system calls of $Config{archname}" if !$prctl || $Config{ptrsize} != 8;
    my ($no_new_privs, $set_seccomp, $filter) = (38, 22, 2);
    # load the number of the call; for 424 the next one, else the last: ENOSYS, or go on
    my @program = ([ 0x20, 0, 0, 0 ], [ 0x15, 0, 1, 424 ], [ 0x06, 0, 0, 0x50000 + ENOSYS ], [ 0x06, 0, 0, 0x7fff0000 ]);
    my $program = join '', map { pack 'SCCL', @$_ } @program;
    return '' if syscall($prctl, $no_new_privs, 1, 0, 0, 0) == 0
        && syscall($prctl, $set_seccomp, $filter, pack('Sx6P', scalar @program, $program), 0, 0) == 0;
    return "the kernel takes no filter: errno " . ($! + 0);
}
SKIP: {
    skip 'valgrind has no pidfd_send_signal anyway', 1 if $CloneTest::beyond_valgrind;
    my $told = told(sub { my $why = refuse_pidfd_signals(); return "refused: $why" if $why; alarm 60 * $CloneTest::slow; dying_handler() });
    skip $told, 1 if $told =~ /^refused/;
    is $told, '1 0 as before', 'the same under a filter that knows no pidfd_send_signal';
}
{
    # the destructor
    my $child = sleeper();
    my $pid = $child->pid;
    my $open = descriptors();
    undef $child;
    is descriptors(), $open - 1, 'an object that goes closes its descriptor';
    is kill(0, $pid), 1, 'and leaves the child running';
    is waitpid($pid, WNOHANG), 0, 'not waited for';
    kill KILL => $pid;
    waitpid $pid, 0;
    for my $signal ('KILL', SIGKILL, 'TERM') {
        $child = sleeper();
        $pid = $child->pid;
        is $child->kill_on_destroy($signal), $child, 'kill_on_destroy returns the object';
        undef $child;
        is children(), 0, "kill_on_destroy($signal): killed and waited for";
    }
    $child = sleeper()->kill_on_destroy('KILL')->kill_on_destroy(undef);
    $pid = $child->pid;
    undef $child;
    is kill(0, $pid), 1, 'undef takes it back';
    kill KILL => $pid;
    waitpid $pid, 0;
    $child = sleeper();
    for my $bad ('NOSUCH', 0, -1, 65, 999, [], '', 1.5) {
        ok !eval { $child->kill_on_destroy($bad); 1 }, "kill_on_destroy($bad) croaks at once";
        like $@, qr/^Linux::Clone::Child::kill_on_destroy: \$signal (?:must be the number or the name of a signal, not|is out of range:) .* at \Q$0\E line \d+\.$/, 'with the reason, where it was called';
    }
    my $handle = $child->pidfd;
    $child->kill_on_destroy('KILL');
    undef $child;
    like readlink('/proc/self/fd/' . fileno $handle), qr/pidfd/, 'the handle stays while somebody has it';
    $child = sleeper()->kill_on_destroy('KILL');
    $child->kill('KILL');
    $child->wait;
    undef $child;
    is children(), 0, 'one that was waited for';
    $child = spawn(code => sub { 0 })->kill_on_destroy('KILL');
    waitpid $child->pid, 0;
    undef $child;
    is children(), 0, 'or by somebody else';

    # in a forked child, and in a clone
    $child = sleeper()->kill_on_destroy('KILL');
    my $forked = fork // die;
    if (!$forked) { undef $child; POSIX::_exit(0) }
    waitpid $forked, 0;
    is $child->running, 1, 'a copy of the object in a forked child kills nothing';
    is end(code => sub { undef $child; 0 }), 'exit 0', 'nor in a child of spawn';
    is $child->running, 1, '(it runs)';
    is end(code => sub { exit 0 }), 'exit 0', 'nor one that exits';
    is $child->running, 1, '(it runs)';
    SKIP: {
        # where the copy has the same process id as the original: both are process 1
        my $flags = namespace_flags(Linux::Clone::NEWPID);
        needs($flags, 1);
        is told(sub {
            my $inner = spawn(code => sub { sleep 60 }) or return "inner: $Linux::Clone::error";
            $inner->kill_on_destroy('KILL');
            my $other = Linux::Clone::clone(sub { $$ == 1 or return 1; undef $inner; 0 }, 0, SIGCHLD | Linux::Clone::NEWPID);
            return "clone: $!" if $other == -1;
            waitpid $other, 0;
            my $said = "$$ $? " . ($inner->running ? 'runs' : 'is killed');
            return $said;
        }, flags => $flags), '1 0 runs', 'nor in one that is process 1 as its parent is';
    }
    is told(sub { ($child->wait, $! + 0, $?) }), join('', -1, ECHILD, -1), 'wait in a child: it is no child of that one';
    $child->kill('KILL');
    $child->wait;
    my ($out) = perl_output(q{
        use Linux::Clone qw(spawn); $| = 1;
        $SIG{__WARN__} = sub { print "WARN @_" };
        my $child = spawn(code => sub { sleep 60 })->kill_on_destroy('KILL');
        our $global = spawn(code => sub { sleep 60 })->kill_on_destroy('KILL');
        our @loop = ([]); push @{ $loop[0] }, $loop[0], spawn(code => sub { sleep 60 })->kill_on_destroy('KILL');
        my $self = []; push @$self, $self, spawn(code => sub { sleep 60 })->kill_on_destroy('KILL');
        print join(' ', map { $_->pid } $child, $global, $loop[0][1], $self->[1]), "\n";
        exit 0;
    });
    my @pids = $out =~ /^(\d+) (\d+) (\d+) (\d+)\n\z/;
    is scalar(@pids), 4, 'at the end of the program no warning' or diag $out;
    is_deeply [ grep { kill 0, $_ } @pids ], [], 'and all objects do as told: lexical, global, in circles';
    kill KILL => $_ for @pids;
}
SKIP: {
    skip 'this perl has no ithreads', 7 if !$Config{useithreads};
    my ($out, $status) = perl_output(<<'PERL');
        use threads; use Linux::Clone qw(spawn); use ProcessTest (); $| = 1;
        my $child = spawn(code => sub { sleep 60 })->kill_on_destroy('KILL');
        my $thread = threads->create(sub { ref $child eq 'Linux::Clone::Child' ? 'copied' : 'not copied' });
        print $thread->join, "\n";
        print $child->running ? "runs\n" : "killed\n";
        my ($end, $program, $error) = threads->create({ context => 'list' }, sub {
            my $one = spawn(code => sub { threads->tid + 4 }) or return $Linux::Clone::error;
            $one->wait; my $status = $? >> 8;
            my $two = spawn(exec => [$^X, '-e', 'exit 6']) or return $Linux::Clone::error;
            $two->wait;
            my $three = spawn(exec => ['/no/such/program']);
            ($status, $? >> 8, $! + 0);
        })->join;
        print "$end $program $error\n";
        undef $child;
        # all at once
        my @threads = map { my $n = $_; threads->create(sub {
            my $wrong = 0;
            for (1 .. 20) {
                my $one = spawn(code => sub { 7 }); $one->wait; $wrong++ if $? != 7 << 8;
                my $two = spawn(exec => ['sh', '-c', 'exit 8']); $two->wait; $wrong++ if $? != 8 << 8;
                $wrong++ if spawn(exec => ['/no/such/program']);
            }
            $wrong;
        }) } 1 .. 4;
        print join(' ', map { $_->join } @threads), "\n";
        my %open = ProcessTest::open_files(); my @left = grep { /pidfd|socket/ } values %open;
        print scalar(@left), " left, wait ", wait, "\n";
PERL
    is $out, "not copied\nruns\n6 6 2\n0 0 0 0\n0 left, wait -1\n", 'threads';
    ($out, $status) = perl_output(<<'PERL');
        use threads; use threads::shared; use Linux::Clone qw(spawn); $| = 1; use POSIX ();
        alarm 60;
        # Copies of the process that one thread makes must not hold up what another one starts:
        # their descriptors are copies of all that was open.
        my $done :shared = 0;
        my $copies = threads->create({ context => "list" }, sub {
            my @children;
            for (1 .. 300) {
                my $pid = fork // die "fork: $!";
                if (!$pid) { sleep 10; POSIX::_exit(0) }
                push @children, $pid;
                select undef, undef, undef, 0.001;
            }
            $done = 1;
            return @children;
        });
        my ($slow, $n) = (0, 0);
        while (!$done && $slow < 3) {
            my $start = time;
            my $child = spawn(exec => ['true'], uid_map => 'root', time_offsets => {}) or print("refused\n"), last;
            $child->wait;
            $slow++ if time - $start > 3;
            $n++;
        }
        print "$slow slow\n" if $n;
        my @children = $copies->join;
        kill KILL => @children;
        waitpid $_, 0 for @children;
PERL
    like $out, qr/^(?:0 slow|refused)\n\z/, 'a program is started while another thread makes copies of the process';
}

is children(), 0, 'no child is left';
is $state->(), $at_start, 'no stack, descriptor or child more than at the start';

done_testing;

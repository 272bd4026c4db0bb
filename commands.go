package main

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sampan/fault"
	"sampan/words"
)

// A group is a chapter of `sampan help`.
type group uint8

const (
	serverGroup group = iota
	operatorGroup
	clientGroup
	otherGroup
)

// command is one row of the table of commands: the only place that lists it.
type command struct {
	name  string // "user add": words lead to the row
	group group
	args  string // what it takes: capitals are required, [X] may be left out, X... may be many
	short words.Message
	long  words.Message // more for its own help; may be zero
	flags []flag
	// run does it; nil where the row only gathers others. Its error becomes the exit code.
	run func(ctx context.Context, args []string) error
	// signals is true where run deals with ^C and SIGTERM itself.
	signals bool
}

// flag is one flag of a command.
type flag struct {
	name  string
	short string // one letter, or ""
	arg   string // the name of its argument in the help, "" for a switch
	to    any    // *bool, *string, *int or *[]string, or an encoding.TextUnmarshaler
	usage words.Message
}

func (f flag) register(set *pflag.FlagSet) {
	switch to := f.to.(type) {
	case *bool:
		set.BoolVarP(to, f.name, f.short, *to, "")
	case *string:
		set.StringVarP(to, f.name, f.short, *to, "")
	case *int:
		set.IntVarP(to, f.name, f.short, *to, "")
	case *[]string:
		set.StringArrayVarP(to, f.name, f.short, *to, "")
	case encoding.TextUnmarshaler:
		set.VarP(textFlag{to}, f.name, f.short, "")
	default:
		panic(fmt.Sprintf("flag --%s has a %T", f.name, f.to))
	}
}

// textFlag lets a TextUnmarshaler be a flag.
type textFlag struct{ encoding.TextUnmarshaler }

func (t textFlag) Set(s string) error { return t.UnmarshalText([]byte(s)) }
func (textFlag) String() string       { return "" }
func (textFlag) Type() string         { return "" }

// cobra builds the commands of the table.
func (e *env) cobra(rows []command) *cobra.Command {
	root := &cobra.Command{
		Use: "sampan", SilenceErrors: true, SilenceUsage: true,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args[0])
			}
			return menu(c.Context(), e)
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetOut(e.out)
	root.SetErr(e.err)
	lang := new(string)
	root.PersistentFlags().StringVar(lang, "lang", "", "")
	root.SetFlagErrorFunc(flagError)
	byCommand := map[*cobra.Command]*command{}
	for _, row := range parentsFirst(rows) {
		parent, name := find(root, row.name)
		c := &cobra.Command{
			Use: name, Short: e.text(row.short),
			DisableFlagsInUseLine: true,
			Args:                  row.checkArgs,
			RunE:                  func(c *cobra.Command, args []string) error { return row.start(c, args) },
		}
		for _, f := range row.flags {
			f.register(c.Flags())
		}
		parent.AddCommand(c)
		byCommand[c] = row
	}
	root.SetHelpCommand(&cobra.Command{
		Use: "help [COMMAND]", Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error { return e.help(root, byCommand, rows, args) },
	})
	root.SetHelpFunc(func(c *cobra.Command, _ []string) {
		if row := byCommand[c]; row != nil {
			e.helpCommand(row, rows)
			return
		}
		e.helpAll(rows)
	})
	return root
}

// parentsFirst orders rows so that "quota" comes before "quota show".
func parentsFirst(rows []command) []*command {
	list := make([]*command, len(rows))
	for i := range rows {
		list[i] = &rows[i]
	}
	slices.SortStableFunc(list, func(a, b *command) int { return strings.Count(a.name, " ") - strings.Count(b.name, " ") })
	return list
}

// find returns the command under which the last word of name hangs, and that word.
func find(root *cobra.Command, name string) (*cobra.Command, string) {
	path := strings.Fields(name)
	for _, word := range path[:len(path)-1] {
		for _, c := range root.Commands() {
			if c.Name() == word {
				root = c
			}
		}
	}
	return root, path[len(path)-1]
}

func (row *command) start(c *cobra.Command, args []string) error {
	switch {
	case row.run != nil && row.signals:
		return row.run(c.Context(), args)
	case row.run != nil:
		return interruptible(c.Context(), func(ctx context.Context) error { return row.run(ctx, args) })
	case len(args) > 0:
		return unknownCommand(c, args[0])
	}
	return c.Help()
}

// checkArgs counts the arguments as row.args tells.
func (row *command) checkArgs(c *cobra.Command, args []string) error {
	if row.run == nil {
		return nil
	}
	required, most := 0, 0
	for _, word := range strings.Fields(row.args) {
		if !strings.HasPrefix(word, "[") {
			required++
		}
		if most++; strings.Contains(word, "...") {
			most = 1 << 30
		}
	}
	switch {
	case len(args) < required:
		return fault.New(fault.Syntax, "something is missing: sampan %s %s", row.name, row.args)
	case len(args) > most && row.args == "":
		return fault.New(fault.Syntax, "%q is one too many: sampan %s takes no arguments", args[most], row.name)
	case len(args) > most:
		return fault.New(fault.Syntax, "%q is one too many: sampan %s %s", args[most], row.name, row.args)
	}
	return nil
}

// unknownCommand names the nearest commands.
func unknownCommand(c *cobra.Command, name string) error {
	full := strings.TrimPrefix(c.CommandPath()+" "+name, "sampan ")
	for c.SuggestionsMinimumDistance = 1; c.SuggestionsMinimumDistance <= 2; c.SuggestionsMinimumDistance++ {
		if near := c.SuggestionsFor(name); len(near) > 0 {
			slices.Sort(near)
			return fault.New(fault.Syntax, "there is no command %q; did you mean %s?", full, strings.Join(near, ", "))
		}
	}
	return fault.New(fault.Syntax, "there is no command %q; sampan help lists them all", full)
}

// flagError puts what is wrong with a flag into our words.
func flagError(c *cobra.Command, err error) error {
	var (
		unknown *pflag.NotExistError
		bare    *pflag.ValueRequiredError
		bad     *pflag.InvalidValueError
		why     *fault.Error
	)
	path := c.CommandPath()
	switch {
	case errors.As(err, &unknown) && len(unknown.GetSpecifiedName()) == 1:
		return fault.New(fault.Syntax, "there is no flag -%s; %s --help lists them", unknown.GetSpecifiedName(), path)
	case errors.As(err, &unknown):
		return fault.New(fault.Syntax, "there is no flag --%s; %s --help lists them", unknown.GetSpecifiedName(), path)
	case errors.As(err, &bare):
		return fault.New(fault.Syntax, "--%s needs a value; %s --help says which", bare.GetSpecifiedName(), path)
	case errors.As(err, &bad) && errors.As(err, &why):
		return fault.New(fault.Syntax, "--%s: %s", bad.GetFlag().Name, why.Say)
	case errors.As(err, &bad):
		return fault.New(fault.Syntax, "--%s cannot be %q; %s --help says what it takes", bad.GetFlag().Name, bad.GetValue(), path)
	}
	return fault.Wrap(fault.Syntax, err, "the flags are not right; %s --help lists them", path)
}

// help answers `sampan help …`.
func (e *env) help(root *cobra.Command, byCommand map[*cobra.Command]*command, rows []command, args []string) error {
	switch {
	case len(args) == 0:
		e.helpAll(rows)
		return nil
	case args[0] == "exit-codes":
		helpExitCodes(e)
		return nil
	}
	c, rest, err := root.Find(args)
	if row := byCommand[c]; err == nil && row != nil && len(rest) == 0 {
		e.helpCommand(row, rows)
		return nil
	}
	return unknownCommand(root, strings.Join(args, " "))
}

// helpAll prints all commands, one line each.
func (e *env) helpAll(rows []command) {
	e.say(words.M("Sampan moves files between people and machines that have an account with you."))
	titles := map[group]words.Message{
		serverGroup:   words.M("Serve"),
		operatorGroup: words.M("Look after the accounts (where the server runs)"),
		clientGroup:   words.M("Use a server, Sampan's or any other"),
		otherGroup:    words.M("More"),
	}
	for g := serverGroup; g <= otherGroup; g++ {
		var list [][2]string
		for _, row := range rows {
			if row.group == g && row.run != nil {
				list = append(list, [2]string{"sampan " + strings.TrimSpace(row.name+" "+row.args), e.text(row.short)})
			}
		}
		if len(list) > 0 {
			fmt.Fprintf(e.out, "\n%s\n", e.text(titles[g]))
			definitions(e.out, list)
		}
	}
	fmt.Fprintln(e.out)
	e.say(words.M("`sampan COMMAND --help` says more; `--lang en` or `--lang zh` chooses the language; `sampan help exit-codes` lists the exit codes."))
	e.say(words.M("With no arguments: a menu to log in or to register."))
}

// helpCommand prints one command, its flags, and the commands below it.
func (e *env) helpCommand(row *command, rows []command) {
	usage := "sampan " + strings.TrimSpace(row.name+" "+row.args)
	if len(row.flags) > 0 {
		usage += " [--…]"
	}
	fmt.Fprintf(e.out, "%s\n\n%s\n", usage, e.text(row.short))
	if !row.long.IsZero() {
		fmt.Fprintf(e.out, "\n%s\n", e.text(row.long))
	}
	var list [][2]string
	for _, r := range rows {
		if strings.HasPrefix(r.name, row.name+" ") {
			list = append(list, [2]string{"sampan " + strings.TrimSpace(r.name+" "+r.args), e.text(r.short)})
		}
	}
	for _, f := range row.flags {
		name := "--" + f.name
		if f.short != "" {
			name = "-" + f.short + ", " + name
		}
		list = append(list, [2]string{strings.TrimSpace(name + " " + f.arg), e.text(f.usage)})
	}
	if len(list) > 0 {
		fmt.Fprintln(e.out)
		definitions(e.out, list)
	}
}

// definitions prints terms with their meanings beside them.
func definitions(w io.Writer, list [][2]string) {
	widest := 0
	for _, d := range list {
		if n := words.Width(d[0]); n <= 44 {
			widest = max(widest, n)
		}
	}
	for _, d := range list {
		n := words.Width(d[0])
		if n > widest {
			fmt.Fprintf(w, "  %s\n  %s  %s\n", d[0], strings.Repeat(" ", widest), d[1])
			continue
		}
		fmt.Fprintf(w, "  %s%s  %s\n", d[0], strings.Repeat(" ", widest-n), d[1])
	}
}

// commands is the table of all commands.
func commands(e *env) []command {
	return slices.Concat(
		[]command{serveCommand(e)},
		userCommands(e), requestCommands(e), quotaCommands(e), liveCommands(e),
		clientCommands(e),
		[]command{demoCommand(e), {
			name: "version", group: otherGroup, short: words.M("print the version"),
			run: func(context.Context, []string) error {
				_, err := fmt.Fprintln(e.out, versionLine())
				return err
			},
		}},
	)
}

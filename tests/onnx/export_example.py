import torch


class Lstm(torch.nn.Module):
    def __init__(self, hidden=16):
        super().__init__()
        self.lstm, self.head = torch.nn.LSTM(1, hidden, batch_first=True), torch.nn.Linear(hidden, 1)
        self.states = {name: torch.zeros(1, 2, hidden) for name in ("state_h", "state_c")}  # layers x batch x hidden

    def forward(self, audio, state_h, state_c):
        x, (h, c) = self.lstm(audio.unsqueeze(-1), (state_h, state_c))
        return self.head(x).squeeze(-1), h, c


def export(model, path, **metadata):
    batch, frames = torch.export.Dim("batch"), torch.export.Dim("frames", min=2)
    free = {name: {state.shape.index(2): batch} for name, state in model.states.items()}
    names = {"input_names": ["audio", *free], "output_names": ["output", *(name + "_out" for name in free)]}
    example = (torch.zeros(2, 64), *model.states.values())
    free = ({0: batch, 1: frames}, *free.values())
    program = torch.onnx.export(model.eval(), example, dynamo=True, dynamic_shapes=free, **names)
    program.model.metadata_props.update({key: str(value) for key, value in metadata.items()})
    program.save(path)


class Tcn(torch.nn.Module):
    def __init__(self, channels=8, taps=5, dilations=(1, 4, 16)):
        super().__init__()
        convs = [torch.nn.Conv1d(channels if i else 1, channels, taps, dilation=d) for i, d in enumerate(dilations)]
        self.net = torch.nn.Sequential(*(m for c in convs for m in (c, torch.nn.Tanh())), torch.nn.Conv1d(channels, 1, 1))
        self.reach = (taps - 1) * sum(dilations)
        self.states = {"state_x": torch.zeros(2, self.reach)}  # batch x the input before the first frame

    def forward(self, audio, state_x):
        x = torch.cat([state_x, audio], dim=1)
        return self.net(x.unsqueeze(1)).squeeze(1), x[:, -self.reach :]


if __name__ == "__main__":
    export(Lstm(), "lstm.onnx", sample_rate=48000, name="An LSTM")
    export(Tcn(), "tcn.onnx", sample_rate=48000, loudness=-18.0, name="A TCN")
